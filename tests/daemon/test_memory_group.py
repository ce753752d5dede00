from __future__ import annotations

import pytest

from rtmpd.daemon.memory_group import MemoryGroup, machine_memory


@pytest.fixture
def system(tmp_path):
    """Writes files of a made-up /proc/self/cgroup and /sys/fs/cgroup, and finds the group in them."""

    def find(membership: str, files: dict[str, str]) -> MemoryGroup | None:
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return MemoryGroup.find(tmp_path / "membership", tmp_path / "root")

    return find


def test_a_unit_under_v2_has_the_lowest_limit_above_it(system):
    group = system(
        "0::/system.slice/rtmpd.service\n",
        {
            "system.slice/rtmpd.service/memory.max": "max\n",
            "system.slice/memory.max": "2000\n",
            "system.slice/memory.current": "900\n",
            "system.slice/memory.stat": "anon 500\ninactive_file 300\nactive_file 100\n",
        },
    )
    assert group.limit == 2000
    assert group.used() == 600


def test_a_container_under_v2_sees_its_own_group_as_the_root(system):
    group = system("0::/\n", {"memory.max": "512\n", "memory.current": "99\n", "memory.stat": ""})
    assert (group.limit, group.used()) == (512, 99)


def test_a_container_under_v1_may_see_the_path_of_the_machine(system):
    group = system(
        "9:name=systemd:/\n4:cpuset,memory:/docker/0123\n1:cpu:/docker/0123\n",
        {
            "memory/memory.limit_in_bytes": "4096\n",
            "memory/memory.usage_in_bytes": "1000\n",
            "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 100\n",
        },
    )
    assert (group.limit, group.used()) == (4096, 900)


def test_the_lower_of_both_hierarchies_counts(system):
    group = system(
        "4:memory:/a\n0::/b\n", {"memory/a/memory.limit_in_bytes": "300\n", "b/memory.max": "200\n"}
    )
    assert group.limit == 200
    assert group.used() is None, "the files of the usage are not there"


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/x\n", {"x/memory.max": "max\n"}),
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "9223372036854771712\n"}),
        ("1:cpu:/x\n", {}),
        ("", {}),
        ("nonsense", {}),
    ],
    ids=["v2-max", "v1-none", "no-memory-controller", "no-groups", "nonsense"],
)
def test_without_a_limit_there_is_no_group(system, membership, files):
    assert system(membership, files) is None


def test_without_control_groups_there_is_no_group(tmp_path):
    assert MemoryGroup.find(tmp_path / "missing", tmp_path) is None


def test_the_machine_has_memory():
    assert 64 * 2**20 < machine_memory() < 2**50
