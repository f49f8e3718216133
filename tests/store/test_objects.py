"""The law every backend obeys."""

import errno
import os
import threading
from pathlib import Path

import pytest

from sensorloom.store.address import open_objects
from sensorloom.store.errors import MissingObjectError, StoreReadError, StoreWriteError, UrlError
from sensorloom.store.local import LocalObjects
from sensorloom.store.repository import Repository


def keys_of(objects, prefix=""):
    return sorted(info.key for info in objects.walk(prefix))


class TestContract:
    def test_what_is_put_is_found(self, objects):
        objects.put_all([("a/b/c", b"one"), ("a/d", memoryview(b"two")), ("e", b"")])
        assert [bytes(objects.get(key)) for key in ("a/b/c", "a/d", "e")] == [b"one", b"two", b""]
        assert [bytes(data) for data in objects.get_all(["a/d", "a/b/c"])] == [b"two", b"one"]

    def test_put_replaces(self, objects):
        objects.put("a", b"one")
        objects.put("a", b"longer")
        assert bytes(objects.get("a")) == b"longer"

    def test_what_is_not_there_is_none(self, objects):
        objects.put("a", b"one")
        assert objects.find("b") is None
        assert objects.find("a/b") is None
        assert objects.head("b") is None
        assert objects.head("a/b") is None
        assert keys_of(objects, "b") == []

    def test_getting_what_others_name_says_that_it_is_missing(self, objects):
        with pytest.raises(MissingObjectError, match=f"x/y in store {objects.url} is missing"):
            objects.get("x/y")

    def test_create_succeeds_once(self, objects):
        assert objects.create("refs/main/1", b"ours")
        assert not objects.create("refs/main/1", b"theirs")
        assert bytes(objects.get("refs/main/1")) == b"ours"

    def test_one_of_many_racing_creators_succeeds(self, objects):
        barrier, won = threading.Barrier(4), []

        def race(name):
            barrier.wait()
            if objects.create("x", name.encode()):
                won.append(name)

        threads = [threading.Thread(target=race, args=(f"writer {i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [bytes(objects.get("x")).decode()] == won

    def test_walk_lists_a_folder_and_not_its_namesakes(self, objects):
        objects.put_all([("a/b/c", b"1"), ("a/d", b"22"), ("ab/c", b"333")])
        assert keys_of(objects) == ["a/b/c", "a/d", "ab/c"]
        assert {info.key: info.num_bytes for info in objects.walk("a")} == {"a/b/c": 1, "a/d": 2}

    def test_times_rise_with_every_change(self, objects):
        objects.put("a", b"1")
        first = objects.head("a")
        objects.refresh("a", b"1")
        assert objects.head("a").modified_s >= first.modified_s
        assert objects.head("a").num_bytes == 1

    def test_refreshing_what_was_removed_writes_it_again(self, objects):
        objects.refresh("a/b", b"1")
        assert bytes(objects.get("a/b")) == b"1"

    def test_delete_removes_and_forgives(self, objects):
        objects.put_all([("a/b/c/d/e", b"1"), ("a/b/c/d/f", b"1"), ("a/g", b"1")])
        objects.delete(["a/b/c/d/e", "not/there", "a/g"])
        objects.delete([])
        assert keys_of(objects) == ["a/b/c/d/f"]
        objects.delete(["a/b/c/d/f"])
        assert keys_of(objects) == []

    def test_pieces_add_up(self, objects):
        data = bytes(range(256)) * 50_000
        objects.put("big", data)
        assert b"".join(bytes(piece) for piece in objects.chunks("big")) == data
        import hashlib

        assert objects.digest("big") == (len(data), hashlib.sha256(data).hexdigest())

    def test_pieces_of_what_is_gone_are_missing(self, objects):
        with pytest.raises(MissingObjectError, match=f"gone in store {objects.url} is missing"):
            objects.digest("gone")

    def test_the_same_url_opens_the_same_objects(self, objects):
        objects.put("a", b"1")
        assert bytes(open_objects(objects.url).get("a")) == b"1"


class TestLocal:
    def test_paths_and_file_urls_open_the_same_directory(self, tmp_path):
        objects = open_objects(str(tmp_path / "with space"))
        objects.put("a", b"1")
        assert bytes(open_objects(f"file://{tmp_path}/with%20space").get("a")) == b"1"
        assert objects.path("a").read_bytes() == b"1"

    def test_a_relative_path_is_pinned_to_where_it_was_opened(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert open_objects("here").url == str(tmp_path / "here")

    def test_no_partial_file_is_left(self, tmp_path):
        objects = LocalObjects(tmp_path)
        objects.put("a", b"1")
        objects.create("a", b"2")
        assert keys_of(objects) == ["a"]

    @pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
    def test_a_file_system_without_hard_links_is_named_before_anything_is_stored(
        self, tmp_path, monkeypatch, code
    ):
        def refuse(source, target):
            raise OSError(code, os.strerror(code), source, None, target)

        monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(
            StoreWriteError,
            match=r"cannot write format\.json in store .*the file system refuses hard links \(.*\), as exFAT .*ext4",
        ):
            Repository.open(str(tmp_path), create=True)
        assert keys_of(LocalObjects(tmp_path)) == []

    def test_another_failure_of_a_hard_link_is_told_as_it_is(self, tmp_path, monkeypatch):
        def refuse(source, target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(StoreWriteError, match=r"cannot write a in store .*: .*No space left on device"):
            LocalObjects(tmp_path).create("a", b"1")

    def test_deleting_leaves_no_empty_folders_in_a_shard(self, tmp_path):
        objects = LocalObjects(tmp_path)
        objects.put_all([("shards/aa/x.zarr/g/v/c/0/0", b"1"), ("shards/aa/x.zarr/zarr.json", b"1")])
        objects.delete(["shards/aa/x.zarr/zarr.json", "shards/aa/x.zarr/g/v/c/0/0"])
        assert [path.name for path in (tmp_path / "shards").rglob("*")] == ["aa"]

    def test_every_file_and_folder_is_synced_before_the_next_object(self, tmp_path, monkeypatch, fsync):
        synced = []
        monkeypatch.setattr(
            os, "fsync", lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd))[1]
        )
        LocalObjects(tmp_path).put_all([("a/b/c", b"1"), ("a/d", b"2")])
        assert [name for name in synced if "/partial/" in name] == synced[:2]
        assert set(synced[2:]) == {str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a/b")}

    def test_a_file_where_a_folder_must_be_is_a_write_error(self, tmp_path):
        objects = LocalObjects(tmp_path)
        objects.put("a", b"1")
        with pytest.raises(
            StoreWriteError, match=f"cannot write a/b in store {tmp_path}: .*Not a directory|File exists"
        ):
            objects.put("a/b", b"1")
        assert keys_of(objects) == ["a"]

    def test_a_folder_in_the_place_of_a_file_is_a_read_error(self, tmp_path):
        (tmp_path / "a").mkdir()
        with pytest.raises(StoreReadError, match=f"cannot read a in store {tmp_path}: .*Is a directory"):
            LocalObjects(tmp_path).find("a")

    def test_folders_that_vanish_while_a_file_is_placed_are_made_again(self, tmp_path, monkeypatch):
        real, left = os.replace, [2]

        def replace(source, target):
            if left[0]:
                left[0] -= 1
                target.parent.rmdir()
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        objects = LocalObjects(tmp_path)
        objects.put("shards/aa/x", b"1")
        assert bytes(objects.get("shards/aa/x")) == b"1"


class TestAddresses:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("", "the address of the store is empty; known are a directory, file:///directory"),
            ("ftp://x/y", "unknown scheme 'ftp'; known are .*memory://name, s3://bucket/prefix"),
            ("file://host/x", "must be file:///directory with three slashes"),
            ("file://", "must be file:///directory with three slashes"),
            ("memory://", "must name the store, as in memory://name"),
            ("s3//lab/x", r"'s3//lab/x' lacks a part of 's3://'; .*A directory of that name is \./s3//lab/x"),
            ("s3:/lab/x", "'s3:/lab/x' lacks a part of 's3://'; known are .*s3://bucket/prefix"),
            ("S3:lab", "lacks a part of 'S3://'"),
            ("file:/lab", "lacks a part of 'file://'"),
            ("memory//lab", "lacks a part of 'memory://'"),
        ],
    )
    def test_bad_addresses_say_what_is_known(self, url, message):
        with pytest.raises(UrlError, match=message):
            open_objects(url)

    @pytest.mark.parametrize("name", ["s3", "s3/lab", "s3backup/x", "./s3:/lab"])
    def test_a_directory_may_be_named_almost_like_a_scheme(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        assert open_objects(name).path("") == (tmp_path / name)

    def test_a_cloud_address_without_its_settings_says_what_is_missing(self, monkeypatch):
        for name in [name for name in os.environ if name.startswith("AZURE_")]:
            monkeypatch.delenv(name)
        with pytest.raises(UrlError, match=r"store address 'az://container/x' is not usable: .*Account"):
            open_objects("az://container/x")

    def test_a_bucket_that_does_not_exist_is_named_by_every_request(self, s3_url, s3_endpoint):
        objects = open_objects("s3://no-such-bucket-here/x")
        told = f"bucket 'no-such-bucket-here' does not exist at {s3_endpoint}; create it first$"
        with pytest.raises(
            StoreWriteError, match=f"cannot write a in store s3://no-such-bucket-here/x: {told}"
        ):
            objects.put("a", b"1")
        with pytest.raises(StoreWriteError, match=told):
            objects.create("a", b"1")
        with pytest.raises(StoreWriteError, match=told):
            objects.delete(["a"])
        with pytest.raises(
            StoreReadError, match=f"cannot read b in store s3://no-such-bucket-here/x: {told}"
        ):
            list(objects.walk("b"))
        with pytest.raises(StoreReadError, match=told):
            Repository.open("s3://no-such-bucket-here/x")

    def test_without_keys_the_error_says_which_to_set(self, s3_url, s3_endpoint, monkeypatch):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        # A machine outside the cloud: nothing answers a request for its role's keys.
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"{s3_endpoint}/nothing")
        told = f"no credentials for {s3_url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        with pytest.raises(StoreReadError, match=told):
            open_objects(s3_url).find("a")
        with pytest.raises(StoreWriteError, match=told):
            open_objects(s3_url).put("a", b"1")

    @pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
    def test_an_endpoint_of_plain_http_needs_no_further_setting(self, s3_url, s3_endpoint, monkeypatch, name):
        monkeypatch.delenv("AWS_ALLOW_HTTP")
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        monkeypatch.setenv(name, s3_endpoint)
        objects = open_objects(s3_url)
        objects.put("a", b"1")
        assert bytes(objects.get("a")) == b"1"

    def test_plain_http_that_was_forbidden_stays_so(self, s3_url, monkeypatch):
        monkeypatch.setenv("AWS_ALLOW_HTTP", "false")
        with pytest.raises(StoreReadError, match=r"cannot read a in store .*builder error"):
            open_objects(s3_url).find("a")
