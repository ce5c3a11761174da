"""A critic of K + 1 classes: its D, the signs of its terms, and a small task."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from generative_core import AdversarialStep, SemiSupervisedGAN
from generative_core.adversarial.gan import MLPGenerator
from generative_core.nets.shaped_mlp import ShapedMLP


def tiny() -> SemiSupervisedGAN:
    torch.manual_seed(0)
    return SemiSupervisedGAN((1, 8, 8), n_classes=3, latent=4, channels=(8, 4), features=6)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x, labelled = (torch.rand(n, 1, 8, 8, generator=generator) * 2 - 1 for n in (10, 6))
    return x, labelled, torch.tensor([0, 1, 2, 0, 1, 2])


def test_d_is_the_share_of_the_k_classes_against_one_of_logit_zero():
    gan, (x, *_) = tiny(), batch()
    logits = torch.cat([gan.classify(x), torch.zeros(10, 1)], dim=1)  # the class "made by G" last
    assert_close(torch.sigmoid(gan.critic.logit(x)), 1 - logits.softmax(1)[:, 3])


def test_the_critics_terms_are_the_cross_entropy_of_k_plus_one_classes():
    gan, (x, labelled, label) = tiny(), batch()
    drawn = gan.draw(x, labelled, label, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == x.shape
    terms = gan.critic_terms(drawn, x, labelled, label)
    with_last = lambda x: F.pad(gan.classify(x), (0, 1)).log_softmax(1)  # noqa: E731
    unlabelled = -with_last(x)[:, :3].logsumexp(1).mean() - with_last(drawn)[:, 3].mean()
    assert_close(terms["adversarial"], unlabelled)
    within = -gan.classify(labelled).log_softmax(1)[torch.arange(6), label].mean()
    assert_close(terms["classes"], within)


def test_one_players_updates_lower_its_terms_and_leave_the_other_alone():
    gan = tiny()
    still = {name: p.clone() for name, p in gan.generator.named_parameters()}
    step = AdversarialStep(gan, lr=3e-3, generator_steps=0)
    seen = [step(*batch()) for _ in range(40)]
    assert seen[-1]["critic/classes"] < 0.5 * seen[0]["critic/classes"]
    assert seen[-1]["critic/adversarial"] < 0.5 * seen[0]["critic/adversarial"]
    assert all(torch.equal(p, still[name]) for name, p in gan.generator.named_parameters())
    step = AdversarialStep(gan, lr=3e-3, critic_steps=0)
    seen = [step(*batch())["generator/feature_matching"] for _ in range(30)]
    assert seen[-1] < 0.5 * seen[0]


def test_one_label_a_class_names_three_blobs():
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    label = torch.arange(90) % 3
    x = centres[label] + 0.4 * torch.randn(90, 2, generator=generator)
    torch.manual_seed(0)
    gan = SemiSupervisedGAN(
        (2,),
        n_classes=3,
        trunk=ShapedMLP((2,), (16,), hidden=(16,)),
        features=16,
        generator=MLPGenerator((2,), latent=4, hidden=(16,)),
    )
    step = AdversarialStep(gan, lr=5e-3)
    for _ in range(100):
        step(x, centres, torch.arange(3))
    assert (gan.classify(x).argmax(1) == label).double().mean() > 0.95
    assert gan.sample(500).detach().norm(dim=1).mean() > 1  # the generator has left the origin
