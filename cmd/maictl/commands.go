package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/fleet"
)

// settings are what the environment says.
type settings struct {
	dir, baseURL, management string
	hetznerToken, hetznerURL string
	hetznerPoll              string // how long to wait before asking Hetzner again, as the hcloud command has it
	resolver                 string // a DNS server to ask instead of this machine's
	// Who certifies domains: an ACME directory, a file of whom to trust when talking to it, one of whom else certificates
	// may come from, and whom the authority writes to.
	acmeDirectory, acmeRoot, trust, acmeEmail string

	s3Credentials string // a file with what opens the place for copies of backups

	crashAt string // a hook for tests: the point at which the process kills itself
}

func readSettings(environ []string) settings {
	get := func(def string, names ...string) string {
		for _, name := range names {
			i := slices.IndexFunc(environ, func(e string) bool { return strings.HasPrefix(e, name+"=") })
			if i >= 0 && len(environ[i]) > len(name)+1 {
				return environ[i][len(name)+1:]
			}
		}
		return def
	}
	home := get("", "HOME")
	return settings{
		dir:           get(filepath.Join(get(filepath.Join(home, ".local", "share"), "XDG_DATA_HOME"), "maictl"), "MAICTL_DATA"),
		baseURL:       get("https://openrouter.ai/api/v1", "OPENROUTER_BASE_URL"),
		management:    get("", "OPENROUTER_MANAGEMENT_KEY", "OPENROUTER_PROVISIONING_KEY"),
		hetznerToken:  get("", "HCLOUD_TOKEN"),
		hetznerURL:    get(hcloud.Endpoint, "HCLOUD_ENDPOINT"),
		hetznerPoll:   get("500ms", "HCLOUD_POLL_INTERVAL"),
		resolver:      get("", "MAICTL_RESOLVER"),
		acmeDirectory: get("", "MAICTL_ACME_DIRECTORY"),
		acmeRoot:      get("", "MAICTL_ACME_ROOT"),
		trust:         get("", "MAICTL_TRUST"),
		acmeEmail:     get("", "MAICTL_ACME_EMAIL"),
		s3Credentials: get("", "MAICTL_S3_CREDENTIALS_FILE"),
		crashAt:       get("", "MAICTL_CRASH_AT"),
	}
}

// program is what the commands share.
type program struct {
	settings
	json bool
	yes  bool
	// dnsWait is how long to wait for records that somebody else has to make.
	dnsWait time.Duration
}

// commands is the command line of maictl.
func commands(environ []string) *cobra.Command {
	p := &program{settings: readSettings(environ)}
	root := &cobra.Command{
		Use:   "maictl",
		Short: "The provider's tool for mAI: clients, their keys, servers, workspaces and spending",
		Long: `maictl gives each client company an OpenRouter key with a monthly limit, a server and a workspace on it, and shows what it spends.

Without a command, at a terminal, it asks what to do.

  OPENROUTER_MANAGEMENT_KEY   management (provisioning) key of your OpenRouter account; it is never stored
  OPENROUTER_BASE_URL         OpenRouter's API; the default is https://openrouter.ai/api/v1
  HCLOUD_TOKEN                token of your project at Hetzner, to make servers; it is never stored
  HCLOUD_ENDPOINT             Hetzner's API; the default is https://api.hetzner.cloud/v1
  MAICTL_RESOLVER             DNS server (host:port) to ask where names point to; the default is this machine's
  MAICTL_DATA                 folder of the database and of the key that seals its secrets: back it up;
                              the default is ~/.local/share/maictl
  MAICTL_S3_CREDENTIALS_FILE
                              file with the access key for copies of backups in S3, as the aws command has it
  MAICTL_ACME_EMAIL           whom Let's Encrypt may write to about the certificates of your clients' domains
  MAICTL_ACME_DIRECTORY       another authority than Let's Encrypt; MAICTL_ACME_ROOT is a file (PEM) of whom to trust when
                              talking to it, MAICTL_TRUST one of whom its certificates come from`,
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !atTerminal() {
				return cmd.Help()
			}
			return p.menu(cmd)
		},
	}
	root.PersistentPreRunE = checkFlags
	root.PersistentFlags().BoolVar(&p.json, "json", false, "print JSON")
	root.PersistentFlags().BoolVar(&p.yes, "yes", false, "do not ask for confirmation")
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(p.clientCommand(), p.keyCommand(), p.serverCommand(), p.releaseCommand(), p.configCommand(), p.backupCommand(), p.selfCommand(), p.planCommand(), p.resumeCommand())
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil && completion != root {
		completion.Args, completion.RunE = nil, onlyBelow("completion") // else it prints its help for any shell it does not know, as if all were well
	}
	return root
}

// checkFlags says in a sentence what cobra would say of flags that are missing or exclude each other.
func checkFlags(cmd *cobra.Command, _ []string) error {
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return fault.Wrap(fault.Invalid, err, "`%s` needs more: %s. `%s --help` has examples.", cmd.CommandPath(), flagNames(err, `"`, `"`), cmd.CommandPath())
	}
	if err := cmd.ValidateFlagGroups(); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s exclude each other. Leave all but one out.", flagNames(err, "; [", "]"))
	}
	return nil
}

// flagNames are the flags that an error of cobra names between two marks.
func flagNames(err error, from, to string) string {
	_, names, _ := strings.Cut(err.Error(), from)
	names = names[:max(0, strings.LastIndex(names, to))]
	return "--" + strings.Join(strings.FieldsFunc(names, func(r rune) bool { return strings.ContainsRune(`", `, r) }), " and --")
}

// open opens the fleet.
func (p *program) open(ctx context.Context) (*fleet.Fleet, error) {
	at, err := crashHook(p.crashAt)
	if err != nil {
		return nil, err
	}
	hetzner, poll, err := p.hetzner()
	if err != nil {
		return nil, err
	}
	tls, err := p.tls()
	if err != nil {
		return nil, err
	}
	return fleet.Open(ctx, fleet.Options{
		Dir: p.dir, BaseURL: p.baseURL, Management: p.management, HTTP: &http.Client{Timeout: 30 * time.Second},
		Hetzner: hetzner, Poll: poll, TLS: tls, Resolver: p.dns(), DNSWait: p.dnsWait, At: at,
	})
}

// tls says who certifies domains.
func (p *program) tls() (deploy.TLS, error) {
	tls := deploy.TLS{Directory: p.acmeDirectory, Email: p.acmeEmail}
	for _, file := range []struct {
		name, path string
		into       *[]byte
	}{{"MAICTL_ACME_ROOT", p.acmeRoot, &tls.Roots}, {"MAICTL_TRUST", p.trust, &tls.Trusted}} {
		if file.path == "" {
			continue
		}
		text, err := os.ReadFile(file.path)
		if err != nil {
			return tls, fault.Wrap(fault.Invalid, err, "%s names the file %s, which cannot be read.", file.name, file.path)
		}
		*file.into = text
	}
	return tls, nil
}

// with runs fn with the fleet.
func (p *program) with(cmd *cobra.Command, fn func(context.Context, *fleet.Fleet) error) (err error) {
	f, err := p.open(cmd.Context())
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	return fn(cmd.Context(), f)
}

func (p *program) planCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "plan",
		Short:   "Show what is not as it is wanted, and change nothing; exit 0 when all is, 2 when something is not or could not be looked at",
		Example: "  maictl plan\n  maictl plan --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				changes, err := f.Plan(ctx)
				if err != nil {
					return err
				}
				if p.json {
					err = printJSON(cmd, orEmpty(changes))
				} else {
					err = printPlan(cmd, changes)
				}
				if err == nil && len(changes) > 0 {
					err = errPending
				}
				return err
			})
		},
	}
}

// allWell is what is said when nothing is to do.
const allWell = "Everything is as it is wanted."

// printPlan prints what is to do and, below, what could not be looked at: each reason once, however many it keeps from view.
func printPlan(cmd *cobra.Command, changes []fleet.Change) error {
	var todo, hidden [][]string
	behind := map[string][]fleet.Change{}
	for _, c := range changes {
		if !c.Unseen {
			todo = append(todo, []string{subject(c), c.Step, c.What})
			continue
		}
		if behind[c.What] = append(behind[c.What], c); len(behind[c.What]) == 1 {
			hidden = append(hidden, []string{"", "", c.What})
		}
	}
	for _, row := range hidden {
		row[0], row[1] = some(behind[row[2]], subject), some(behind[row[2]], func(c fleet.Change) string { return c.Step })
	}
	if len(todo) > 0 || len(hidden) == 0 {
		if err := printTable(cmd, allWell, []string{"Of", "Step", "To do"}, todo); err != nil {
			return err
		}
	}
	if len(hidden) == 0 {
		return nil
	}
	if len(todo) > 0 {
		if _, err := fmt.Fprintln(cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	return printTable(cmd, "", []string{"Of", "Step", "Could not be looked at"}, hidden)
}

// subject is what people call that of which something is to do.
func subject(c fleet.Change) string { return cmp.Or(c.Server, "mai-"+c.Client) }

// some names what changes are of, without repeating itself: the first few, and how many more there are.
func some(changes []fleet.Change, name func(fleet.Change) string) string {
	const few = 3
	var names []string
	for _, c := range changes {
		if n := name(c); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if more := len(names) - few; more > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), more)
	}
	return strings.Join(names, ", ")
}

func (p *program) resumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "resume",
		Short:   "Bring every client and server to what is wanted of it, from wherever an earlier run broke off",
		Example: "  maictl resume",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				type done struct {
					Of   string `json:"of"`
					Step string `json:"step"`
					What string `json:"what"`
				}
				all := []done{}
				err := f.Resume(ctx, func(subject, step, what string) {
					progress(cmd, subject+": "+step, what)
					all = append(all, done{subject, step, what})
				})
				switch {
				case p.json:
					return errors.Join(printJSON(cmd, all), err)
				case err == nil && len(all) == 0:
					_, err = fmt.Fprintln(cmd.OutOrStdout(), allWell)
				}
				return err
			})
		},
	}
	p.addDNSWait(cmd)
	return cmd
}

// noun is a command that only has commands below it.
func noun(name, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, RunE: onlyBelow(name), SuggestionsMinimumDistance: 2}
	cmd.AddCommand(below...)
	return cmd
}

// onlyBelow is a command that does nothing itself.
func onlyBelow(name string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		near := ""
		if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
			near = " Did you mean " + strings.Join(names, " or ") + "?"
		}
		return fault.New(fault.Invalid, "There is no command `maictl %s %s`.%s `maictl %s --help` lists them.", name, args[0], near, name)
	}
}

// named wants the argument that a command is about, and says so in words.
func named(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return fault.New(fault.Invalid, "It is `%s`. Put a name of several words in quotation marks. `%s --help` has examples.", cmd.UseLine(), cmd.CommandPath())
		}
		return nil
	}
}

// confirm asks before what cannot be taken back. Without a terminal and without --yes it refuses.
func (p *program) confirm(cmd *cobra.Command, question string) error {
	if p.yes {
		return nil
	}
	if !atTerminal() {
		return fault.New(fault.Invalid, "%s Say --yes to do it without being asked.", question)
	}
	answer, err := newPrompter(cmd).line(question + " [y/N] ")
	if err == nil && !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
		err = fault.New(fault.Conflict, "Nothing was changed.")
	}
	return err
}

// atTerminal reports whether somebody can be asked.
func atTerminal() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

// progress tells how work goes, beside what the command prints.
func progress(cmd *cobra.Command, step, what string) {
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", step, what) // a closed terminal is no reason to stop
}
