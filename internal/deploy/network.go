package deploy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// The networks of instances are so small, each in these addresses, because an engine on its own gives a network so many
// that it has none left after thirty.
const (
	networkBits  = 28
	mostNetworks = 1 << (networkBits - 16)
)

func networkPool() netip.Addr { return netip.AddrFrom4([4]byte{10, 213, 0, 0}) }

// makeNetwork makes the network of an instance, at the first addresses that no other network of the host has.
func (h *Host) makeNetwork(ctx context.Context, name string) error {
	list, err := h.docker.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return err
	}
	var taken []netip.Prefix
	for _, other := range list.Items {
		for _, config := range other.IPAM.Config {
			taken = append(taken, config.Subnet)
		}
	}
	pool := networkPool().As4()
	for n := range mostNetworks {
		at := n << (32 - networkBits)
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{pool[0], pool[1], byte(at >> 8), byte(at)}), networkBits)
		if slices.ContainsFunc(taken, subnet.Overlaps) {
			continue
		}
		_, err := h.docker.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Labels: map[string]string{labelInstance: name},
			IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}})
		if !errdefs.IsPermissionDenied(err) { // how the engine says that somebody has just taken them
			return err
		}
	}
	return fmt.Errorf("no addresses are left for the network %s", name)
}
