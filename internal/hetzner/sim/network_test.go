package sim_test

import (
	"net"
	"testing"
)

// networks are parsed as hcloud wants them.
func networks(t *testing.T, texts ...string) (all []net.IPNet) {
	t.Helper()
	for _, text := range texts {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *network)
	}
	return all
}
