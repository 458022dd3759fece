"""Local training: recipes, data, and the child process that trains.

Only that child imports torch, in `recipes.image_cnn_torch`. It imports nothing of chain, wallet or node.
"""
