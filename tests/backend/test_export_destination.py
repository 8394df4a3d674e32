"""Where an export goes: the destination is the old file or a proven new one at every moment."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import tempfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from inspector_app.backend import pieces
from inspector_app.backend.exporting import export
from inspector_app.backend.formats.safetensors_file import SafetensorsFile
from inspector_app.backend.states import StateDict
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import Cancelled, RefusedError, RequestError
from inspector_app.protocol.messages import ExportOptions
from tests.backend.exports import CancelAt, run_python

FORMS = ["safetensors", "torch"]

STATE = StateDict({"w": torch.arange(1000.0)})


def test_a_new_file_has_the_rights_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        export(STATE, str(tmp_path / "x"))
    finally:
        os.umask(before)
    assert os.stat(tmp_path / "x").st_mode & 0o777 == 0o640


def test_a_replaced_file_keeps_its_rights(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o604)
    export(STATE, str(path))
    assert path.stat().st_mode & 0o777 == 0o604
    assert verify(str(path)).ok


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x").write_bytes(b"old")
    (tmp_path / "link").symlink_to("far/x")
    (tmp_path / "dangling").symlink_to("far/new")
    for link, file in (("link", "x"), ("dangling", "new")):
        export(STATE, str(tmp_path / link))
        assert (tmp_path / link).is_symlink()
        assert verify(str(tmp_path / "far" / file)).ok
    assert sorted(os.listdir(tmp_path / "far")) == ["new", "x"]


def test_the_file_that_takes_our_own_words_is_not_replaced(tmp_path):
    path = tmp_path / "log"
    with open(path, "w") as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            with pytest.raises(RequestError, match="own words"):
                export(STATE, str(path))
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    assert path.read_bytes() == b""


def test_what_cannot_be_written_says_why_and_stays(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(os.listdir(tmp_path))
    for path, words in (
        (str(tmp_path), "is a folder"),
        (f"{tmp_path}/new/", "is a folder"),
        (str(tmp_path / "none" / "x"), "does not exist"),
        (str(tmp_path / "file" / "x"), "Not a directory|does not exist"),
        (str(tmp_path / "pipe"), "a device or a pipe"),
        (str(tmp_path / "loop"), "leads to itself"),
        ("/dev/null", "a device or a pipe"),
        ("/dev/full", "a device or a pipe"),
        ("", "without a name"),
        (str(tmp_path / ("x" * 300)), "too long"),
    ):
        with pytest.raises(RequestError, match=words):
            export(STATE, path)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "file").read_bytes() == b"old"


def test_the_current_folder_and_long_names_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x", "ü" * 120):
        export(STATE, name)
        assert verify(name).ok


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(RequestError, match=r"files of this size.*Nothing was changed"):
            export(STATE, str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == ["x"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("from_disk", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_cancel_leaves_the_old_file_at_every_moment(tmp_path, form, from_disk):
    source = StateDict({str(number): torch.ones(1 << 18) for number in range(8)})
    options = ExportOptions(format=form, from_disk=from_disk)
    path = tmp_path / "x"
    watched = CancelAt(2**62)
    export(source, str(path), options, job=watched)
    done = [done for done, _, _ in watched.seen]
    assert done == sorted(done)
    assert done[-1] >= watched.seen[-1][1] > 0
    path.write_bytes(b"old")
    for moment in done[:-1:3]:
        with pytest.raises(Cancelled):
            export(source, str(path), options, job=CancelAt(moment))
        assert os.listdir(tmp_path) == ["x"]
        assert path.read_bytes() == b"old"


@pytest.mark.parametrize("from_disk", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_disk_that_lies_is_found_out(tmp_path, monkeypatch, form, from_disk):
    real = os.pwrite

    def flip(descriptor, data, offset):
        data = bytearray(data)
        at = data.find(torch.tensor([500.0, 501.0]).numpy().tobytes())
        if at >= 0:
            data[at] ^= 4
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", flip)
    with pytest.raises(RefusedError, match=r'"w" \(values differ in 1 of 1,000 elements\)'):
        export(STATE, str(tmp_path / "x"), ExportOptions(format=form, from_disk=from_disk))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", FORMS)
def test_words_of_the_format_that_arrive_otherwise_are_found_out(tmp_path, monkeypatch, form):
    real = os.pwrite

    def flip(descriptor, data, offset):
        data = bytearray(data)
        if not offset:
            data[9] ^= 4
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", flip)
    with pytest.raises(RefusedError, match="the words of the format"):
        export(STATE, str(tmp_path / "x"), ExportOptions(format=form))
    assert os.listdir(tmp_path) == []


def test_a_model_that_changes_between_write_and_comparison_is_found_out(tmp_path, monkeypatch):
    tensor = torch.zeros(10)
    real = pieces.read_exactly

    def change(*arguments):
        tensor[3] = -0.0
        return real(*arguments)

    monkeypatch.setattr(pieces, "read_exactly", change)
    with pytest.raises(RefusedError, match="the model changed meanwhile"):
        export(StateDict({"w": tensor}), str(tmp_path / "x"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("from_disk", [False, True])
def test_a_model_that_changes_after_it_was_hashed_is_found_out(tmp_path, from_disk):
    """The file would equal the model, but not the hash that it notes."""
    tensor = torch.zeros(10)

    class Changing(StateDict):
        looks = 0

        def blocks(self, name):
            self.looks += 1
            if self.looks == 2:
                tensor[3] = 1
            return super().blocks(name)

    with pytest.raises(RefusedError, match="the model changed meanwhile"):
        export(Changing({"w": tensor}), str(tmp_path / "x"), ExportOptions(from_disk=from_disk))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_source_that_gives_other_bytes_than_it_said_is_refused(tmp_path, form):
    class Shrinking(StateDict):
        def blocks(self, name):
            return iter(list(super().blocks(name))[:-1])

    with pytest.raises(RefusedError, match="it changed its size"):
        export(Shrinking({"w": torch.ones(3)}), str(tmp_path / "x"), ExportOptions(format=form))
    assert os.listdir(tmp_path) == []


def test_a_model_mapped_from_the_file_it_replaces_survives(tmp_path):
    path = str(tmp_path / "x")
    export(STATE, path)
    values = SafetensorsFile(path).tensor("w")
    export(StateDict({"w": values, "more": torch.ones(3)}), path)
    assert values.sum() == 499500
    assert torch.equal(load_file(path)["w"], values)


def test_a_file_that_the_library_wrote_is_replaced_by_ours(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "x")
    export(STATE, str(tmp_path / "x"))
    assert load_file(tmp_path / "x")["w"].numel() == 1000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_without_rights_says_so():
    """In a process of another user, as rights do not bind root."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        os.mkdir(f"{folder}/closed", 0o755)
        with open(f"{folder}/protected", "w"):
            pass
        result = run_python(
            f"""
            import os, torch
            from inspector_app.backend.exporting import export
            from inspector_app.backend.states import StateDict
            from inspector_app.protocol.errors import RequestError
            os.setgid(65534)
            os.setuid(65534)
            source = StateDict({{"w": torch.ones(1)}})
            for name in ("closed/x", "protected"):
                try:
                    export(source, {folder!r} + "/" + name)
                except RequestError as error:
                    print(error.sentence)
            export(source, {folder!r} + "/x")
            """
        )
        assert "cannot be written to" in result.stdout, result.stderr
        assert "write-protected" in result.stdout
        assert sorted(os.listdir(folder)) == ["closed", "protected", "x"], result.stderr


@pytest.mark.slow
def test_killed_at_any_moment_the_destination_is_whole(tmp_path):
    """Children export one of two states over the same file and are killed at random."""
    result = run_python(
        f"""
        import os, random, signal, time, torch
        torch.set_num_threads(1)
        from inspector_app.backend.exporting import export
        from inspector_app.backend.states import StateDict
        states = [
            StateDict({{str(n): torch.full((1 << 17,), float(k)) for n in range(16)}})
            for k in (1, 2)
        ]
        path = {str(tmp_path / "x")!r}
        good = [export(state, path).sha256 for state in states]
        start = time.perf_counter(); export(states[0], path)
        whole = time.perf_counter() - start
        random.seed(1)
        for turn in range(30):
            child = os.fork()
            if not child:
                try:
                    export(states[turn % 2], path)
                finally:
                    os._exit(0)
            if turn % 10 != 9:  # every tenth may end, however busy the machine is
                time.sleep(random.random() * 1.5 * whole)
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            import hashlib
            with open(path, "rb") as file:
                print(good.index(hashlib.sha256(file.read()).hexdigest()))
        """
    )
    seen = result.stdout.split()
    assert len(seen) == 30, result.stderr
    assert set(seen) == {"0", "1"}  # both the old and the new one were found, nothing else
    export(STATE, str(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["x"]  # no draft of a killed one stays


# -- places ----------------------------------------------------------------------------------------


def test_a_link_to_another_file_system(tmp_path):
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as far:
        (tmp_path / "link").symlink_to(os.path.join(far, "x"))
        export(STATE, str(tmp_path / "link"))
        assert (tmp_path / "link").is_symlink()
        assert os.listdir(far) == ["x"]
        assert verify(os.path.join(far, "x")).ok


def test_a_disk_that_is_memory_is_not_called_a_disk(tmp_path):
    if not os.path.isdir("/dev/shm"):
        pytest.skip("there is no file system in memory")
    options = ExportOptions(from_disk=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        report = export(STATE, os.path.join(folder, "x"), options)
        assert ["was compared in memory" in note for note in report.notes] == [True]
    assert export(STATE, str(tmp_path / "x")).notes == []
    if os.stat("/dev/shm").st_dev != tmp_path.stat().st_dev:
        assert export(STATE, str(tmp_path / "x"), options).notes == []


def test_other_hard_links_keep_the_old_file(tmp_path):
    (tmp_path / "one").write_bytes(b"old")
    os.link(tmp_path / "one", tmp_path / "other")
    report = export(STATE, str(tmp_path / "one"))
    assert ["2 hard links" in note for note in report.notes] == [True]
    assert (tmp_path / "other").read_bytes() == b"old"
    assert verify(str(tmp_path / "one")).ok


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_that_vanishes(tmp_path, form):
    folder = tmp_path / "folder"
    folder.mkdir()

    class Vanish(CancelAt):
        def progress(self, done, total, label):
            super().progress(done, total, label)
            shutil.rmtree(folder, ignore_errors=True)

    with pytest.raises((RequestError, RefusedError)) as raised:
        export(STATE, str(folder / "x"), ExportOptions(format=form), job=Vanish(2**62))
    assert "Nothing was changed" in raised.value.sentence
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", FORMS)
def test_an_error_of_the_disk_while_it_syncs(tmp_path, monkeypatch, form):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RequestError, match=r"the disk is full.*Nothing was changed"):
        export(STATE, str(path), ExportOptions(format=form))
    assert os.listdir(tmp_path) == ["x"]
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_disk_that_is_really_full(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        (place / "x").write_bytes(b"old")
        source = StateDict({"w": torch.ones(100_000)})
        for options in (
            ExportOptions(),
            ExportOptions(format="torch"),
            ExportOptions(from_disk=True),
        ):
            with pytest.raises(RequestError, match=r"the disk is full.*Nothing was changed"):
                export(source, str(place / "x"), options)
            assert os.listdir(place) == ["x"]
            assert (place / "x").read_bytes() == b"old"
    finally:
        subprocess.run(["umount", str(place)], check=True)
