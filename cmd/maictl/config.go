package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/fleet"
)

func (p *program) configCommand() *cobra.Command {
	base := &cobra.Command{
		Use:   "base-domain [DOMAIN|none]",
		Short: "Show or set the domain below which new clients get theirs",
		Long: `base-domain is the domain below which a client gets its name unless --domain says another: companyabc.ai.example.com.
If its zone is in your project at Hetzner, maictl sets the records itself; else it says which, and waits for them.`,
		Example: "  maictl config base-domain ai.example.com\n  maictl config base-domain none",
		Args:    named(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				if len(args) == 1 {
					domain := args[0]
					if domain == "none" {
						domain = ""
					}
					if err := f.SetBaseDomain(ctx, domain); err != nil {
						return err
					}
				}
				domain, err := f.BaseDomain(ctx)
				if p.json {
					return p.either(cmd, struct {
						BaseDomain string `json:"base_domain"`
					}{domain}, err)
				}
				if err == nil {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), cmp.Or(domain, "There is no base domain."))
				}
				return err
			})
		},
	}
	return noun("config", "What is set once for the whole fleet", base, p.configRecoveryKey())
}

func (p *program) configRecoveryKey() *cobra.Command {
	return &cobra.Command{
		Use:   "recovery-key [FILE|none]",
		Short: "Show or set the public SSH key that every server lets in beside maictl's own",
		Long: `recovery-key is a key of yours, such as ~/.ssh/id_ed25519.pub, with which you get into the servers when MAICTL_DATA is lost:
"maictl self recover" needs it. New servers have it from their first boot, those of clients at the next "maictl resume".`,
		Example: "  maictl config recovery-key ~/.ssh/id_ed25519.pub && maictl resume\n  maictl config recovery-key none",
		Args:    named(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				if len(args) == 1 {
					if err := setRecoveryKey(ctx, f, args[0]); err != nil {
						return err
					}
				}
				key, _, err := f.RecoveryKey(ctx)
				if p.json {
					return p.either(cmd, struct {
						RecoveryKey string `json:"recovery_key"`
					}{key}, err)
				}
				if err == nil {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), cmp.Or(key, "There is no recovery key."))
				}
				return err
			})
		},
	}
}

// setRecoveryKey takes the public key in a file, or none.
func setRecoveryKey(ctx context.Context, f *fleet.Fleet, file string) error {
	if file == "none" {
		return f.SetRecoveryKey(ctx, "")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The public key %s cannot be read. It is a file such as ~/.ssh/id_ed25519.pub.", file)
	}
	return f.SetRecoveryKey(ctx, string(text))
}

// hetzner is the provider's project at Hetzner, nil without a token, and how often to ask it.
func (p *program) hetzner() (*hcloud.Client, time.Duration, error) {
	poll, err := time.ParseDuration(p.hetznerPoll)
	if err != nil || poll <= 0 {
		return nil, 0, fault.Wrap(fault.Invalid, err, "HCLOUD_POLL_INTERVAL must be a time such as 500ms.")
	}
	if p.hetznerToken == "" {
		return nil, poll, nil
	}
	if strings.ContainsFunc(p.hetznerToken, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, 0, fault.New(fault.Invalid, "HCLOUD_TOKEN holds a character that no token has. Copy it again from the Cloud Console.")
	}
	return hcloud.NewClient(hcloud.WithToken(p.hetznerToken), hcloud.WithEndpoint(p.hetznerURL), hcloud.WithApplication("maictl", version),
		hcloud.WithHTTPClient(&http.Client{Timeout: 30 * time.Second}),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(poll)})), poll, nil
}

// dns asks the DNS server that the environment names, nil is this machine's.
func (p *program) dns() *net.Resolver {
	if p.resolver == "" {
		return nil
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, p.resolver)
	}}
}

// addDNSWait adds the flag that says how long to wait for records that somebody else has to make.
func (p *program) addDNSWait(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&p.dnsWait, "dns-wait", 10*time.Minute, "how long to wait for DNS records that somebody else has to make")
}
