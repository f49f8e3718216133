"""What objectives are made of: contrasts, masks, augmentations, queues, and signs of collapse."""
