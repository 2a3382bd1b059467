package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
	"mai/internal/remote"
)

func (p *program) serverCommand() *cobra.Command {
	return noun("server", "Machines on which instances run", p.serverCreate(), p.serverAdopt(), p.serverList(), p.serverShow(),
		p.serverResize(), p.serverReplace(), p.serverDelete(), p.serverOrphans(), p.serverBudget(), p.serverSSHKey())
}

// shownServer is a server in JSON.
type shownServer struct {
	Name     string        `json:"name"`
	Adopted  bool          `json:"adopted"`
	Hetzner  *int64        `json:"hetzner_id"`
	IPv4     string        `json:"ipv4"`
	IPv6     string        `json:"ipv6"`
	SSHUser  string        `json:"ssh_user"`
	SSHPort  int           `json:"ssh_port"`
	HostKey  string        `json:"host_key"`
	Type     string        `json:"type"`
	Location string        `json:"location"`
	Price    *money.Amount `json:"price_month"` // net
	Currency string        `json:"currency"`
	State    string        `json:"state"`
	Own      bool          `json:"own"` // of one client
	Clients  []string      `json:"clients"`
	Created  time.Time     `json:"created_at"`
}

func showServer(s fleet.Server) shownServer {
	shown := shownServer{Name: s.Name, Adopted: s.Adopted, IPv4: addrText(s.IPv4), IPv6: addrText(s.IPv6), SSHUser: s.SSHUser, SSHPort: s.SSHPort,
		HostKey: s.HostKey, Type: s.Type, Location: s.Location, Price: s.Price, Currency: s.Currency, State: serverState(s), Own: s.Own(),
		Clients: []string{}, Created: s.Created.Truncate(time.Second)}
	if s.HetznerID != 0 {
		shown.Hetzner = &s.HetznerID
	}
	for _, c := range s.Clients {
		shown.Clients = append(shown.Clients, c.Instance())
	}
	return shown
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func serverState(s fleet.Server) string {
	switch {
	case s.Deleting:
		return "deleting"
	case s.Unfinished:
		return "unfinished"
	}
	return "active"
}

// perMonth is what a server costs, as people read it.
func perMonth(price *money.Amount, currency string) string {
	if price == nil {
		return "—"
	}
	return strings.TrimSpace(strings.TrimPrefix(dollars(price), "$") + " " + currency)
}

// kind is what a server is, in a few words.
func kind(s shownServer) string {
	if s.Adopted {
		return "adopted"
	}
	return s.Type + " in " + s.Location
}

func (p *program) serverList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the servers and who lives on them", Args: cobra.NoArgs, Aliases: []string{"ls"},
		Example: "  maictl server list\n  maictl server list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				servers, err := f.Servers(ctx)
				if err != nil {
					return err
				}
				shown, rows := []shownServer{}, [][]string{}
				for _, one := range servers {
					s := showServer(one)
					shown = append(shown, s)
					rows = append(rows, []string{s.Name, addrText(one.Address()), kind(s), s.State, perMonth(s.Price, s.Currency), strings.Join(s.Clients, ", ")})
				}
				return p.printList(cmd, shown, "No servers yet. Make one with `maictl server create`, or take one in with `maictl server adopt`.",
					[]string{"Server", "Address", "Type", "State", "Net a month", "Clients"}, rows)
			})
		},
	}
}

// onServer is a command on one server.
func (p *program) onServer(use, short, example string, fn func(context.Context, *cobra.Command, *fleet.Fleet, fleet.Server) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: named(1, 1), ValidArgsFunction: p.completeServer,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				s, err := f.Server(ctx, args[0])
				if err != nil {
					return err
				}
				return fn(ctx, cmd, f, s)
			})
		},
	}
}

// completeServer offers the servers to the shell.
func (p *program) completeServer(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 && cmd.Name() != "create" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	err := p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
		servers, err := f.Servers(ctx)
		for _, s := range servers {
			names = append(names, s.Name+"\t"+addrText(s.Address()))
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (p *program) serverShow() *cobra.Command {
	return p.onServer("show NAME", "Show a server", "  maictl server show shared1 --json",
		func(_ context.Context, cmd *cobra.Command, _ *fleet.Fleet, one fleet.Server) error {
			return p.showServer(cmd, one)
		})
}

// showServer prints a server with the fingerprint that a person compares.
func (p *program) showServer(cmd *cobra.Command, one fleet.Server) error {
	s := showServer(one)
	if p.json {
		return printJSON(cmd, s)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.HostKey))
	if err != nil {
		return fmt.Errorf("the host key of %s: %w", s.Name, err)
	}
	rows := [][]string{{"Name", s.Name}, {"Type", kind(s)}, {"State", s.State}, {"IPv4", s.IPv4}, {"IPv6", s.IPv6},
		{"SSH", s.SSHUser + ", port " + strconv.Itoa(s.SSHPort)}, {"Host key", ssh.FingerprintSHA256(key)},
		{"Net a month", perMonth(s.Price, s.Currency)}, {"Clients", strings.Join(s.Clients, ", ")}, {"Created", s.Created.Format(time.DateTime) + " UTC"}}
	return printTable(cmd, "", []string{"", ""}, rows)
}

func (p *program) serverAdopt() *cobra.Command {
	var in fleet.NewHost
	cmd := &cobra.Command{
		Use:   "adopt NAME",
		Short: "Take in a Debian or Ubuntu machine that you have",
		Long: `adopt takes a machine into the fleet that is there already. Nothing is changed on it. Let maictl in first: put the line
that "maictl server ssh-key" prints into ~root/.ssh/authorized_keys there. Its host key is pinned: no other is ever trusted.`,
		Example: `  maictl server adopt shared1 --address 192.0.2.10 --host-key "ssh-ed25519 AAAA..."
  maictl server adopt shared1 --address 192.0.2.10 --address 2001:db8::10 --host-key SHA256:wzx...`,
		Args: named(1, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in.Name = args[0]
			if in.HostKey, err = p.hostKey(cmd, in); err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				s, err := f.AdoptServer(ctx, in)
				if err != nil {
					return err
				}
				return p.showServer(cmd, s)
			})
		},
	}
	cmd.Flags().StringSliceVar(&in.Addresses, "address", nil, "its public address; twice for IPv4 and IPv6")
	cmd.Flags().StringVar(&in.User, "user", "root", "whom to log in as")
	cmd.Flags().IntVar(&in.Port, "port", 22, "port of its SSH server")
	cmd.Flags().StringVar(&in.HostKey, "host-key", "", "its public host key, the file that holds it, or its fingerprint; shown and asked about unless given")
	return cmd
}

// hostKey is the host key of a machine: the one that was given, that of the file that was, the one whose fingerprint was,
// or the one that a person has compared.
func (p *program) hostKey(cmd *cobra.Command, in fleet.NewHost) (string, error) {
	fingerprint := strings.HasPrefix(in.HostKey, "SHA256:")
	switch {
	case strings.Contains(in.HostKey, " "):
		return in.HostKey, nil
	case in.HostKey != "" && !fingerprint:
		text, err := os.ReadFile(in.HostKey)
		if err != nil {
			return "", fault.Wrap(fault.Invalid, err, "%q is neither a host key, such as \"ssh-ed25519 AAAA…\", nor its fingerprint, nor a file that holds one.", in.HostKey)
		}
		return string(text), nil
	case !fingerprint && !p.yes && !atTerminal():
		return "", fault.New(fault.Invalid, "A machine is known by its host key. Say --host-key with the line of /etc/ssh/ssh_host_ed25519_key.pub on it, or with its fingerprint.")
	case !fingerprint && p.yes:
		return "", fault.New(fault.Invalid, "--yes does not trust a host key that nobody has compared. Say --host-key with the line of /etc/ssh/ssh_host_ed25519_key.pub on the machine, or with its fingerprint.")
	}
	addr, err := in.Addr()
	if err != nil {
		return "", err
	}
	key, shown, err := remote.HostKeyOf(cmd.Context(), addr)
	switch {
	case err != nil:
		return "", err
	case fingerprint && shown != in.HostKey:
		return "", fault.New(fault.Conflict, "%s shows the host key %s, and you said %s. Nothing was changed.", addr, shown, in.HostKey)
	case fingerprint:
		return key, nil
	}
	return key, p.confirm(cmd, compare(addr, shown))
}

// compare asks for what nobody but a person can do.
func compare(addr, fingerprint string) string {
	return fmt.Sprintf("%s shows the host key %s. Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the machine. Is it the same?", addr, fingerprint)
}

func (p *program) serverSSHKey() *cobra.Command {
	return &cobra.Command{
		Use: "ssh-key", Short: "Print the line that lets maictl into a machine", Args: cobra.NoArgs,
		Long:    "ssh-key prints the public half of the key with which maictl logs in to servers; the private half is sealed.",
		Example: "  maictl server ssh-key | ssh root@192.0.2.10 'cat >> ~/.ssh/authorized_keys'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				line, err := f.SSHKey(ctx)
				if err == nil && p.json {
					return printJSON(cmd, struct {
						SSHKey string `json:"ssh_key"`
					}{line})
				}
				if err == nil {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), line)
				}
				return err
			})
		},
	}
}
