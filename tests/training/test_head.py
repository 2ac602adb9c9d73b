"""Where the head lies in a prepared scan."""

import numpy as np

from training.head import head_box


def test_the_box_of_a_head():
    grey = np.zeros((224, 224), np.float32)
    grey[30:190, 40:180] = 90
    assert head_box(grey) == (40, 30, 180, 190)
    assert head_box(np.zeros((224, 224), np.float32)) == (0, 0, 224, 224)
