package sqldb

import "testing"

func TestOverNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		kind uint32
		want bool
	}{
		"NFS": {0x6969, true}, "SMB 2": {0xfe534d42, true}, "CIFS": {0xff534d42, true}, "Ceph": {0x00c36400, true},
		"ext4": {0xef53, false}, "XFS": {0x58465342, false}, "Btrfs": {0x9123683e, false}, "tmpfs": {0x01021994, false}, "overlay": {0x794c7630, false},
	} {
		if got := overNetwork(c.kind); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
