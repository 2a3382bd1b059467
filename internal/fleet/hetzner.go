package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/crypto/ssh"

	"mai/internal/fault"
	"mai/internal/money"
)

// What the fleet has at Hetzner once for all servers, and how its servers are known there.
const (
	hetznerName = "mai"       // of the SSH key and of the firewall
	serverImage = "debian-13" // whose Docker packages cloud-init installs
	ownerLabel  = "managed-by"
	owner       = "maictl"
	serverLabel = "mai-server"   // its id here: whose reply was lost is found by it
	keyLabel    = "mai-host-key" // fingerprint of its host key: who lost all else knows it by that
)

// ErrSoldOut is in the error of an order that Hetzner cannot fill now. Another of the Offers may do.
var ErrSoldOut = errors.New("sold out")

// planProject is what has to be at Hetzner for any server: our SSH key and the firewall, whose number it returns; 0 while
// there is none.
func (f *Fleet) planProject(ctx context.Context, w *work) (plan []action, wallID int64, err error) {
	ours, err := f.sshKey(ctx)
	if err != nil {
		return nil, 0, err
	}
	key, _, err := f.hetzner.SSHKey.GetByFingerprint(ctx, ssh.FingerprintLegacyMD5(ours.PublicKey()))
	if err != nil {
		return nil, 0, explainHetzner(err)
	}
	if key == nil {
		plan = append(plan, action{"give Hetzner the public SSH key of maictl", func(ctx context.Context) error {
			return f.outside(ctx, w, "sshkey.create", ssh.FingerprintSHA256(ours.PublicKey()), func() error {
				name := hetznerName + "-" + strings.ReplaceAll(ssh.FingerprintLegacyMD5(ours.PublicKey()), ":", "")[:8]
				_, _, err := f.hetzner.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: name, PublicKey: keyLine(ours.PublicKey()), Labels: map[string]string{ownerLabel: owner}})
				return explainHetzner(unlessTaken(err))
			})
		}})
	}
	wall, _, err := f.hetzner.Firewall.GetByName(ctx, hetznerName)
	switch {
	case err != nil:
		return nil, 0, explainHetzner(err)
	case wall == nil:
		return append(plan, action{"make the firewall " + hetznerName + ": SSH, HTTP, HTTPS", func(ctx context.Context) error {
			return f.outside(ctx, w, "firewall.create", hetznerName, func() error {
				made, _, err := f.hetzner.Firewall.Create(ctx, hcloud.FirewallCreateOpts{Name: hetznerName, Rules: firewallRules(), Labels: map[string]string{ownerLabel: owner}})
				if err == nil {
					err = f.hetzner.Action.WaitFor(ctx, made.Actions...)
				}
				return explainHetzner(unlessTaken(err))
			})
		}}), 0, nil
	case !sameRules(wall.Rules, firewallRules()):
		plan = append(plan, action{"set the rules of the firewall " + hetznerName + ": SSH, HTTP, HTTPS", func(ctx context.Context) error {
			return f.outside(ctx, w, "firewall.rules", hetznerName, func() error {
				actions, _, err := f.hetzner.Firewall.SetRules(ctx, wall, hcloud.FirewallSetRulesOpts{Rules: firewallRules()})
				if err == nil {
					err = f.hetzner.Action.WaitFor(ctx, actions...)
				}
				return explainHetzner(err)
			})
		}})
	}
	return plan, wall.ID, nil
}

// labels are those of a server at Hetzner.
func (s Server) labels() (map[string]string, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.HostKey))
	if err != nil {
		return nil, fmt.Errorf("the host key of %s: %w", s.Name, err)
	}
	labels := map[string]string{ownerLabel: owner, serverLabel: s.ID, keyLabel: labelled(ssh.FingerprintSHA256(key))}
	if s.Own() {
		labels[clientLabel] = s.clientID
	}
	return labels, nil
}

// labelled is a fingerprint as a label may have it: no colon, plus or slash, and a letter at its ends.
func labelled(fingerprint string) string {
	return strings.NewReplacer(":", ".", "+", "-", "/", "_").Replace(fingerprint)
}

// planLabels compares the labels of a server with what we have to find there after losing all else.
func (f *Fleet) planLabels(w *work, s Server, there *hcloud.Server) ([]action, error) {
	want, err := s.labels()
	if err != nil {
		return nil, err
	}
	all := maps.Clone(there.Labels) // those of others stay
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, want)
	if maps.Equal(all, there.Labels) {
		return nil, nil
	}
	return []action{{"label the server " + s.Name, func(ctx context.Context) error {
		return f.outside(ctx, w, "server.label", s.Name, func() error {
			_, _, err := f.hetzner.Server.Update(ctx, there, hcloud.ServerUpdateOpts{Labels: all})
			return explainHetzner(err)
		})
	}}}, nil
}

// unlessTaken takes "there is one already" for something that another run has just made.
func unlessTaken(err error) error {
	if hcloud.IsError(err, hcloud.ErrorCodeUniquenessError) {
		return nil
	}
	return err
}

// firewallRules let in what a server serves: SSH, HTTP, HTTPS with HTTP/3, and ping.
func firewallRules() []hcloud.FirewallRule {
	all := []net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
	rules := []hcloud.FirewallRule{{Direction: hcloud.FirewallRuleDirectionIn, Protocol: hcloud.FirewallRuleProtocolICMP, SourceIPs: all}}
	for _, open := range []struct {
		protocol hcloud.FirewallRuleProtocol
		port     string
	}{{hcloud.FirewallRuleProtocolTCP, "22"}, {hcloud.FirewallRuleProtocolTCP, "80"}, {hcloud.FirewallRuleProtocolTCP, "443"}, {hcloud.FirewallRuleProtocolUDP, "443"}} {
		rules = append(rules, hcloud.FirewallRule{Direction: hcloud.FirewallRuleDirectionIn, Protocol: open.protocol, Port: &open.port, SourceIPs: all})
	}
	return rules
}

// sameRules compares rules by what they let in, in any order.
func sameRules(a, b []hcloud.FirewallRule) bool {
	words := func(rules []hcloud.FirewallRule) (all []string) {
		for _, r := range rules {
			line := string(r.Direction) + " " + string(r.Protocol)
			if r.Port != nil {
				line += " " + *r.Port
			}
			for _, networks := range [][]net.IPNet{r.SourceIPs, r.DestinationIPs} {
				for _, network := range networks {
					line += " " + network.String()
				}
				line += ";"
			}
			all = append(all, line)
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(words(a), words(b))
}

// Found is a server at Hetzner that is marked as ours.
type Found struct {
	ID             int64
	Name           string
	Type, Location string
	Address        netip.Addr
	Price          *money.Amount // net per month, without the address; nil when Hetzner names none
	Created        time.Time
}

// OrphanServers are servers at Hetzner that maictl made and that belong to no row here: made by a run whose database was
// lost. They cost money.
func (f *Fleet) OrphanServers(ctx context.Context) (orphans []Found, err error) {
	if err := f.needHetzner(); err != nil {
		return nil, err
	}
	unknown, err := f.unknownServers(ctx)
	for _, there := range unknown {
		ipv4, _ := addresses(there)
		orphan := Found{ID: there.ID, Name: there.Name, Type: there.ServerType.Name, Location: there.Location.Name, Address: ipv4, Created: there.Created}
		for _, p := range there.ServerType.Pricings {
			if amount, err := money.ParseExact(p.Monthly.Net); err == nil && p.Location.Name == orphan.Location {
				orphan.Price = &amount
			}
		}
		orphans = append(orphans, orphan)
	}
	return orphans, err
}

// unknownServers are those at Hetzner that bear our label and that no row here is about.
func (f *Fleet) unknownServers(ctx context.Context) ([]*hcloud.Server, error) {
	ours, err := f.hetzner.Server.AllWithOpts(ctx, hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: ownerLabel + "==" + owner}})
	if err != nil {
		return nil, explainHetzner(err)
	}
	known, err := f.Servers(ctx)
	return slices.DeleteFunc(ours, func(there *hcloud.Server) bool {
		return slices.ContainsFunc(known, func(s Server) bool { return s.HetznerID == there.ID || s.ID == there.Labels[serverLabel] })
	}), err
}

// explainHetzner makes a sentence of an error of Hetzner's for the provider, who owns the project.
func explainHetzner(err error) error {
	var refused hcloud.Error
	var failed hcloud.ActionError
	var told *fault.Error
	switch {
	case err == nil || errors.As(err, &told) || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &failed):
		return fault.Wrap(fault.Upstream, err, "Hetzner could not finish it: %s (%s). Run `maictl resume` to try again, or look at the server in the Cloud Console.", failed.Message, failed.Code)
	case !errors.As(err, &refused):
		return fault.Wrap(fault.Unavailable, err, "Hetzner cannot be reached. Check the network, and HCLOUD_ENDPOINT if you set it, then run `maictl resume`.")
	}
	switch refused.Code {
	case hcloud.ErrorCodeUnauthorized:
		return fault.Wrap(fault.Invalid, err, "Hetzner does not know this token. Check HCLOUD_TOKEN; tokens are made in the Cloud Console under Security → API tokens, one for each project.")
	case hcloud.ErrorCodeForbidden, "token_readonly":
		return fault.Wrap(fault.Invalid, err, "This Hetzner token may only read. Make one with the right to read and write, and set HCLOUD_TOKEN.")
	case hcloud.ErrorCodeRateLimitExceeded:
		return fault.Wrap(fault.TooMany, err, "Hetzner allows no more requests for now (its limit for the whole project refills by one a second). Wait a minute, then run `maictl resume`.")
	case hcloud.ErrorCodeResourceLimitExceeded:
		return fault.Wrap(fault.Conflict, err, "Your Hetzner project may have no more of these: %s. Ask for a higher limit in the Cloud Console under Limits.", refused.Message)
	case hcloud.ErrorCodeLocked, hcloud.ErrorCodeConflict:
		return fault.Wrap(fault.Unavailable, err, "Hetzner still works on it: %s. Run `maictl resume` in a moment.", refused.Message)
	case hcloud.ErrorCodeResourceUnavailable, hcloud.ErrorCodePlacementError:
		return fault.Wrap(fault.Unavailable, err, "Hetzner has no room for it just now: %s. Try again later.", refused.Message)
	}
	return fault.Wrap(fault.Upstream, err, "Hetzner refused: %s (%s).", refused.Message, refused.Code)
}
