"""One page of all results, from nothing but their JSON and pictures."""
