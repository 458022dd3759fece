"""Local training: recipes, data, and the child process that trains.

Only that process imports torch, in `recipes/*_torch.py`. It imports nothing of chain, wallet or node.
"""
