"""What must stay together does, and two people never become one."""

import numpy as np

from data.grouping import Groups, join_near_duplicates


def test_look_alikes_of_two_known_patients_stay_apart() -> None:
    patients = [("m", "anna"), ("m", "ben"), None, ("other", "x"), None]
    groups = Groups(5)
    pairs = np.array([[0, 2], [2, 4], [1, 2], [1, 4], [0, 3], [0, 1]])
    joined, refused = join_near_duplicates(groups, pairs, patients)
    # Nameless 2 and 4 went with Anna, their closest; Ben is another person; catalogue `other` may
    # call Anna x.
    assert groups.labels() == [0, 1, 0, 0, 0]
    assert (joined, refused) == (3, 3)


def test_equal_keys_join_and_none_joins_nothing() -> None:
    groups = Groups(5)
    groups.join_equal(["a", None, "b", "a", None])
    groups.join_equal([None, "c", "c", None, None])
    assert groups.labels() == [0, 1, 1, 0, 4]
