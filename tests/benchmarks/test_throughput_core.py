"""What the throughput benchmark of the core compares.  No test depends on how fast anything is."""

import json
import math

import pytest
import torch
from rich.console import Console
from torch.testing import assert_close

from benchmarks.throughput import core
from benchmarks.throughput.core import CoreConfig, is_installed, measure, run
from benchmarks.throughput.core_pairs import PAIRS, Contender, Pair, Sizes
from gail_suite.errors import InputError

SMALL = Sizes(batch=8, features=6, hidden=10, side=4, images=2)


def peer_or_skip(name: str) -> Pair:
    pair = PAIRS[name]
    if not is_installed(pair):
        pytest.skip(f"{pair.package} is not installed")
    return pair


@pytest.mark.parametrize("name", PAIRS)
def test_both_sides_are_of_one_size_at_the_sizes_that_are_measured(name):
    pair = peer_or_skip(name)
    ours, peer = pair.ours(Sizes()), pair.peer(Sizes())
    assert abs(ours.n_parameters - peer.n_parameters) <= 0.01 * peer.n_parameters
    assert ours.per_call == peer.per_call


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.unit == "updates/s"])
def test_an_update_moves_every_parameter_of_both_sides(name, monkeypatch):
    """And both by the same optimiser, with the same settings."""
    pair = peer_or_skip(name)
    kept = []
    optimiser = torch.optim.AdamW

    class Spy(optimiser):
        def __init__(self, parameters, lr, **settings):
            kept.append((list(parameters), lr, settings))
            super().__init__(kept[-1][0], lr=lr, **settings)

    monkeypatch.setattr(torch.optim, "AdamW", Spy)
    torch.manual_seed(0)
    sides = [pair.ours(SMALL), pair.peer(SMALL)]
    (ours, lr_ours, settings_ours), (peer, lr_peer, settings_peer) = kept
    assert lr_ours == lr_peer
    assert settings_ours["fused"] is settings_peer["fused"] is True
    assert settings_ours["weight_decay"] == settings_peer["weight_decay"] == 0
    for side, parameters in zip(sides, (ours, peer), strict=True):
        before = [parameter.clone() for parameter in parameters]
        side.step()
        side.step()
        moved = [not torch.equal(old, new) for old, new in zip(before, parameters, strict=True)]
        assert all(moved)


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.unit == "rounds/s"])
def test_a_round_by_hand_moves_both_players_as_ours_does(name, monkeypatch):
    """From the same seed, with the same noise, every gradient of both sides is the same, and so is the optimiser."""
    pair = PAIRS[name]
    kept = []
    optimiser = torch.optim.AdamW

    class Spy(optimiser):
        def __init__(self, parameters, lr, **settings):
            kept.append((list(parameters), (lr, settings)))
            super().__init__(kept[-1][0], lr=lr, **settings)

    def same_noise(*shape, generator=None, **settings):
        shape = shape[0] if isinstance(shape[0], tuple) else shape
        return torch.linspace(0, 9, math.prod(shape)).sin().view(shape)

    monkeypatch.setattr(torch.optim, "AdamW", Spy)
    sides = []
    torch.set_default_dtype(torch.float64)  # in float32 Adam makes whole steps of gradients that are rounding errors
    try:
        for make in (pair.ours, pair.peer):
            torch.manual_seed(0)
            sides.append(make(SMALL))
        monkeypatch.setattr(torch, "randn", same_noise)
        monkeypatch.setattr(torch, "rand", same_noise)
        for side in sides:
            side.step()
    finally:
        torch.set_default_dtype(torch.float32)
    ours, peer = kept[:2], kept[2:]
    assert [settings for _, settings in ours] == [settings for _, settings in peer]
    gradients = [[p.grad for player, _ in side for p in player] for side in (ours, peer)]
    assert all(gradient.any() for gradient in gradients[0] if gradient.ndim > 1)  # a bias may cancel out
    for a, b in zip(*gradients, strict=True):
        assert_close(a, b)


def test_sampling_with_and_without_a_cache_draws_the_same(monkeypatch):
    drawn = []
    for pair in (PAIRS["pixelcnn-sampling"], PAIRS["gated-pixelcnn-sampling"]):
        for make in (pair.ours, pair.peer):
            torch.manual_seed(0)
            drawn.append(make(SMALL).step())
    assert all(torch.is_tensor(x) and x.shape == (2, 1, 4, 4) for x in drawn)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[2], drawn[3])


def test_sides_take_turns_and_ratios_are_of_the_same_turn(monkeypatch):
    calls = []
    rates = {"a": iter([10.0, 1.0, 30.0]), "b": iter([5.0, 0.5, 10.0])}

    def side(name: str) -> Contender:
        return Contender(lambda: name, n_parameters=1000, per_call=2)

    def steps_within(step, seconds):
        calls.append(step())
        return next(rates[step()])

    monkeypatch.setattr(core, "steps_within", steps_within)
    row = measure(Pair(label="a, b", ours=lambda _: side("a"), peer=lambda _: side("b")), CoreConfig(turns=3))
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert row["per_turn"] == {"ours": [20.0, 2.0, 60.0], "peer": [10.0, 1.0, 20.0]}
    assert row["ours"] == 20.0
    assert row["ours_to_peer"] == 2.0
    unlike = Pair(label="", ours=lambda _: side("a"), peer=lambda _: Contender(lambda: None, n_parameters=980))
    with pytest.raises(AssertionError, match="1,000 parameters against 980"):
        measure(unlike, CoreConfig())


def test_result_is_written_with_what_was_left_out(tmp_path, monkeypatch):
    plain = Pair(label="plain", ours=lambda _: Contender(int, 7), peer=lambda _: Contender(int, 7))
    absent = Pair(label="absent", ours=plain.ours, peer=plain.peer, package="no_such_package")
    monkeypatch.setattr(core, "PAIRS", {"plain": plain, "absent": absent})
    n_threads = torch.get_num_threads()
    file = tmp_path / "core.json"
    console = Console(record=True, width=150)
    try:
        run(CoreConfig(pairs=("plain", "absent"), seconds=0.001, turns=2, json=file), ["core", "--turns", "2"], console)
    finally:
        torch.set_num_threads(n_threads)
    result = json.loads(file.read_text())
    assert result["command"] == "python -m benchmarks.throughput core --turns 2"
    assert result["left_out"] == ["absent"]
    assert [row["label"] for row in result["results"]] == ["plain"]
    assert len(result["results"][0]["per_turn"]["ours"]) == 2
    assert set(core.PACKAGES) < set(result["versions"])
    shown = console.export_text()
    assert "plain" in shown
    assert "absent" in shown
    with pytest.raises(InputError, match="installed"):
        run(CoreConfig(pairs=("absent",)), [], console)
    with pytest.raises(InputError, match="no pair 'nothing'"):
        run(CoreConfig(pairs=("nothing",)), [], console)
