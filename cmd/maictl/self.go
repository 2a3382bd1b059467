package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"mai/internal/backup"
	"mai/internal/fault"
	"mai/internal/fleet"
)

func (p *program) selfCommand() *cobra.Command {
	return noun("self", "maictl's own database: back it up, restore it, or recover what the world still knows", p.selfBackup(), p.selfRestore(), p.selfRecover())
}

func (p *program) selfBackup() *cobra.Command {
	var recipient string
	cmd := &cobra.Command{
		Use:     "backup FILE --recipient age1...",
		Short:   "Write the database and the key of its secrets to an encrypted file, and prove it by restoring it",
		Example: "  age-keygen -o recovery.txt     # once; keep it away from this machine\n  maictl self backup maictl-2026-11-25.age --recipient age1...",
		Args:    named(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				if err := f.Backup(ctx, args[0], recipient, version); err != nil {
					return err
				}
				progress(cmd, args[0], "written, and proven by restoring it")
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&recipient, "recipient", "", "age public key of whoever may restore it")
	_ = cmd.MarkFlagRequired("recipient") // it exists
	return cmd
}

func (p *program) selfRestore() *cobra.Command {
	var identity string
	cmd := &cobra.Command{
		Use:     "restore FILE --identity KEYFILE",
		Short:   "Restore maictl's own database into an empty MAICTL_DATA",
		Example: "  maictl self restore maictl-2026-11-25.age --identity recovery.txt && maictl plan",
		Args:    named(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			identities, err := backup.ReadIdentities(identity)
			if err != nil {
				return err
			}
			if err := fleet.RestoreSelf(cmd.Context(), args[0], p.dir, identities); err != nil {
				return err
			}
			progress(cmd, p.dir, "restored; `maictl plan` compares it with the world")
			return nil
		},
	}
	cmd.Flags().StringVar(&identity, "identity", "", "file with the recovery key (AGE-SECRET-KEY-1...)")
	_ = cmd.MarkFlagRequired("identity") // it exists
	return cmd
}

func (p *program) selfRecover() *cobra.Command {
	var keyFile string
	var hosts, hostKeys []string
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Without a backup: take in the servers and clients that are out there",
		Long: `recover makes the database again from what is known elsewhere: servers by their labels at Hetzner, each client by the note,
the secrets and the container on its server, limits by the keys at OpenRouter. Name machines of other makers with --host. It
changes nothing that is known here, can be killed and run again, and "maictl plan" then says what is left.

It gets into the servers with the key of --ssh-key, which they let in if "maictl config recovery-key" was told of it or if you
put it there, and lets maictl's new key in. A server that Hetzner made is known by the fingerprint in its label; that of any
other is asked about, unless --host-key says it. Of a client with no server only its key is found: it is then named as its
instance is, at the usual markup. Not found anywhere: the base domain, the budget for servers, the audit, the release before.
The key of the lost maictl is still let in everywhere: take it out of ~/.ssh/authorized_keys if it may be in other hands.`,
		Example: `  maictl self recover --ssh-key ~/.ssh/id_ed25519
  maictl self recover --ssh-key ~/.ssh/id_ed25519 --host 192.0.2.10 --host admin@198.51.100.7:2222 --host-key SHA256:wzx...`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			in := fleet.Recovery{Trust: func(addr, fingerprint string) error { return p.trustHost(cmd, addr, fingerprint, hostKeys) }}
			if in.Key, err = readSSHKey(cmd, keyFile); err != nil {
				return err
			}
			for _, text := range hosts {
				host, err := hostAt(text)
				if err != nil {
					return err
				}
				in.Hosts = append(in.Hosts, host)
			}
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error { return p.recover(ctx, cmd, f, in) })
		},
	}
	cmd.Flags().StringVar(&keyFile, "ssh-key", "", "private SSH key that the servers let in")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a machine that Hetzner does not know, [USER@]ADDRESS[:PORT]; can be repeated")
	cmd.Flags().StringArrayVar(&hostKeys, "host-key", nil, "fingerprint of a host key to trust, SHA256:...; can be repeated")
	return cmd
}

// recover says how a recovery goes and, at its end, which clients it found.
func (p *program) recover(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, in fleet.Recovery) error {
	taken, err := f.Recover(ctx, in, func(subject, what string) { progress(cmd, subject, what) })
	type recovered struct {
		Client string `json:"client"`
		Slug   string `json:"slug"`
		Server string `json:"server"`
		Domain string `json:"domain"`
	}
	list, rows := []recovered{}, [][]string{}
	for _, c := range taken {
		s, missing := f.ServerOf(ctx, c)
		if missing != nil && !fault.Is(missing, fault.NotFound) {
			return errors.Join(err, missing)
		}
		list = append(list, recovered{c.Name, c.Slug, s.Name, c.Domain})
		rows = append(rows, []string{c.Name, c.Instance(), s.Name, c.Domain})
	}
	return errors.Join(err, p.printList(cmd, list, "No client was found that is not known here.", []string{"Client", "Instance", "Server", "Domain"}, rows))
}

// trustHost asks a person whether a host key is that of a machine, unless its fingerprint was given.
func (p *program) trustHost(cmd *cobra.Command, addr, fingerprint string, known []string) error {
	if slices.Contains(known, fingerprint) {
		return nil
	}
	if p.yes || !atTerminal() {
		return fault.New(fault.Conflict, "%s shows the host key %s. Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the machine, and say --host-key %s if it is the same.", addr, fingerprint, fingerprint)
	}
	return p.confirm(cmd, compare(addr, fingerprint))
}

// readSSHKey reads a private key; nil without a file. A key with a passphrase has it asked for.
func readSSHKey(cmd *cobra.Command, file string) (ssh.Signer, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // no key is a valid answer
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The SSH key %s cannot be read.", file)
	}
	key, err := ssh.ParsePrivateKey(text)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		if !atTerminal() {
			return nil, fault.Wrap(fault.Invalid, err, "The SSH key %s has a passphrase. Run this at a terminal, which is asked for it.", file)
		}
		passphrase, asked := newPrompter(cmd).secret("Passphrase of " + file + ": ")
		if asked != nil {
			return nil, asked
		}
		key, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase))
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s is no private SSH key, or its passphrase is another.", file)
	}
	return key, nil
}

// hostAt reads [USER@]ADDRESS[:PORT].
func hostAt(text string) (fleet.NewHost, error) {
	user, at, found := strings.Cut(text, "@")
	if !found {
		user, at = "root", text
	}
	host := fleet.NewHost{User: user, Port: 22, Addresses: []string{at}}
	if both, err := netip.ParseAddrPort(at); err == nil {
		host.Addresses, host.Port = []string{both.Addr().String()}, int(both.Port())
	}
	_, err := host.Addr()
	if err == nil {
		return host, nil
	}
	return host, fault.Wrap(fault.Invalid, err, "--host %q: it is [USER@]ADDRESS[:PORT], such as 192.0.2.10 or root@[2001:db8::10]:22.", text)
}
