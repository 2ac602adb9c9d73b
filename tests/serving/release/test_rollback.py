"""Going back and forth between versions, and deleting old ones: what is on disk after each."""

import pytest

from serving.release.digest import check
from serving.release.labels import set_label
from serving.release.model_config import ConfigFile, Entry
from serving.release.prune import prune
from serving.release.rollback import restore, rollback
from serving.versions import VersionError


@pytest.fixture
def config(base):
    return ConfigFile(base / "models.config", "brain_tumor", base)


@pytest.fixture
def back(store, config):
    """Roll back, with no server to wait for."""
    return lambda to=None: rollback(store, config, to, client=None, timeout_s=1)


@pytest.fixture
def label(store, config):
    return lambda name, version: set_label(store, config, name, version, client=None, timeout_s=1)


def test_the_newest_version_goes_out_of_sight_and_comes_back_to_the_byte(store, back, publish_stub):
    digest = check(store.path(3)).digest
    done = back()
    assert (done.to, done.withdrawn, done.entry) == (2, (3,), None)
    assert (store.versions(), store.withdrawn()) == ([1, 2], [3])
    assert publish_stub(store.base) == 4
    restore(store, 3)
    assert (store.versions(), store.withdrawn()) == ([1, 2, 3, 4], [])
    assert check(store.path(3)).digest == digest


def test_one_can_go_back_further_and_again(store, back):
    assert back(1).withdrawn == (2, 3)
    restore(store, 2)
    assert back().withdrawn == (2,)
    assert store.versions() == [1]


@pytest.mark.parametrize(
    ("to", "told"),
    [
        (3, "Version 3 is not older than 3, which serves"),
        (7, "Version 7 is not older than 3, which serves"),
        (0, "There is no version 0"),
    ],
)
def test_a_version_that_one_cannot_go_back_to_is_told(store, back, to, told):
    with pytest.raises(VersionError, match=told):
        back(to)
    assert store.versions() == [1, 2, 3]


def test_there_must_be_something_to_go_back_to(store, back):
    back(1)
    with pytest.raises(VersionError, match="There is no version older than 1 to go back to"):
        back()
    with store.exclusive():
        store.discard(store.path(1))
    with pytest.raises(VersionError, match="There is no version in"):
        back()


def test_nobody_goes_back_to_a_damaged_version(store, back):
    (store.path(2) / "more").touch()
    with pytest.raises(
        VersionError, match=r"Version 2 must not serve. DAMAGED: more is not listed"
    ):
        back()
    assert store.versions() == [1, 2, 3]
    assert back(1).withdrawn == (2, 3)


def test_only_what_was_rolled_back_can_be_restored(store, back):
    with pytest.raises(
        VersionError, match="Version 2 was not rolled back; of those, there is none"
    ):
        restore(store, 2)
    back()
    with pytest.raises(VersionError, match="Version 2 was not rolled back; of those, 3"):
        restore(store, 2)


# With versions pinned by models.config, the config is what a rollback changes.


def test_a_failed_canary_goes_back_to_the_stable_version(store, back, label):
    label("stable", 1)
    label("canary", 3)
    done = back()
    assert (done.to, done.withdrawn) == (1, ())
    assert done.entry == Entry({"stable": 1, "canary": 1}, frozenset({1}))
    assert store.versions() == [1, 2, 3]


def test_a_stable_version_goes_back_in_the_two_steps_that_a_server_accepts(back, label, config):
    label("stable", 3)
    with pytest.raises(VersionError, match="No label was moved yet"):
        back()
    assert config.read() == Entry({"stable": 3}, frozenset({2, 3}))
    assert back().entry == Entry({"stable": 2}, frozenset({2}))


def test_a_version_pinned_by_hand_goes_back_at_once(back, config, base):
    config.write(Entry({}, frozenset({3})))
    assert back(1).entry == Entry({}, frozenset({1}))
    assert config.read().pinned == {1}


def test_a_label_is_never_left_on_a_version_that_goes_out_of_sight(back, config, store):
    config.path.write_text(
        'model_config_list { config { name: "brain_tumor" '
        'version_labels { key: "canary" value: 3 } } }'
    )
    with pytest.raises(VersionError, match="The label canary names a newer version; move it first"):
        back()
    assert store.versions() == [1, 2, 3]


# Prune.


def test_prune_keeps_the_newest(store, config, back):
    done = prune(store, config, keep=2, withdrawn=False)
    assert (done.deleted, done.spared) == ((1,), ())
    assert store.versions() == [2, 3]
    back()
    assert prune(store, config, keep=1, withdrawn=False).deleted == ()
    assert (store.versions(), store.withdrawn()) == ([2], [3])
    assert prune(store, config, keep=1, withdrawn=True).withdrawn_deleted == (3,)
    assert (store.versions(), store.withdrawn()) == ([2], [])


def test_prune_spares_what_is_in_use(store, config, label, publish_stub):
    publish_stub(store.base)
    label("stable", 1)
    done = prune(store, config, keep=1, withdrawn=False, loaded={2})
    assert (done.deleted, done.spared) == ((3,), (1, 2))
    assert store.versions() == [1, 2, 4]


def test_prune_can_only_tell(store, config):
    done = prune(store, config, keep=1, withdrawn=False, dry_run=True)
    assert done.deleted == (1, 2)
    assert store.versions() == [1, 2, 3]


def test_prune_stops_at_a_config_that_it_cannot_read(store, config):
    config.path.write_text("{")
    with pytest.raises(VersionError, match="is no model config in text format"):
        prune(store, config, keep=1, withdrawn=False)
    assert store.versions() == [1, 2, 3]
