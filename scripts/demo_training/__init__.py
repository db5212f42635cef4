"""The parts of scripts/train-demo, in the order in which it uses them:
packages -> texts -> corpus -> tokens -> model -> language -> dictionary -> measure -> report."""
