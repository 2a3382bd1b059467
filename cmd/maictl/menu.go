package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
)

// prompter asks at the terminal, a line at a time.
type prompter struct {
	in  *bufio.Reader
	out io.Writer
}

func newPrompter(cmd *cobra.Command) *prompter {
	return &prompter{bufio.NewReader(cmd.InOrStdin()), cmd.OutOrStdout()}
}

// line asks and returns what is typed before Enter, without the spaces around it.
func (q *prompter) line(question string) (string, error) {
	if _, err := fmt.Fprint(q.out, question); err != nil {
		return "", err
	}
	text, err := q.in.ReadString('\n')
	if errors.Is(err, io.EOF) && text == "" {
		return "", fault.New(fault.Invalid, "The input ended before the answer. Nothing was changed.")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(text), nil
}

// keystrokes hands on what is typed one byte at a time, so that nothing after Enter is taken from the next question.
type keystrokes struct {
	io.Reader
	io.Writer
}

// Read reads a byte.
func (k keystrokes) Read(p []byte) (int, error) { return k.Reader.Read(p[:min(1, len(p))]) }

// secret is line for what must not be seen while it is typed. The terminal stops to show what is typed before the question
// is on it: who pastes at once must not see it either.
func (q *prompter) secret(question string) (text string, err error) {
	fd := int(os.Stdin.Fd())
	if q.in.Buffered() > 0 || !term.IsTerminal(fd) { // it was typed ahead, and is on the screen already
		return q.line(question)
	}
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("the terminal: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(fd, before)) }()
	text, err = term.NewTerminal(keystrokes{os.Stdin, q.out}, "").ReadPassword(question)
	if errors.Is(err, io.EOF) {
		err = fault.New(fault.Invalid, "The input ended before the answer. Nothing was changed.")
	}
	return strings.TrimSpace(text), err
}

// menu asks what to do. Its first two choices are the two modes of the deployment guide.
func (p *program) menu(cmd *cobra.Command) error {
	q := newPrompter(cmd)
	_, err := fmt.Fprintf(q.out, "🚀 mAI: Simple Client API Key Creator & Usage Checker\n%s\nSelect mode:\n1. Create new API key\n2. Check usage of existing API key\n3. List clients\n4. Check that every client is as you want it\n", strings.Repeat("=", 60))
	for err == nil {
		var choice string
		if choice, err = q.line("Enter choice (1 or 2; 3 or 4 for more, q to quit): "); err != nil {
			break
		}
		switch choice {
		case "1":
			return p.menuCreate(cmd, q)
		case "2":
			return p.menuUsage(cmd, q)
		case "3":
			return run(cmd, p.clientList())
		case "4":
			if err := p.askManagement(q); err != nil {
				return err
			}
			return run(cmd, p.planCommand())
		case "q", "Q":
			return nil
		}
		_, err = fmt.Fprintf(q.out, "❌ Invalid choice: %q. Please enter 1, 2, 3, 4 or q.\n", choice)
	}
	return err
}

// run runs another command with the input, output and context of cmd.
func run(cmd, other *cobra.Command) error {
	other.SetContext(cmd.Context())
	other.SetOut(cmd.OutOrStdout())
	other.SetErr(cmd.ErrOrStderr())
	return other.RunE(other, nil)
}

// askManagement asks for the management key unless the environment has it.
func (p *program) askManagement(q *prompter) error {
	for p.management == "" {
		key, err := q.secret("Enter your OpenRouter provisioning key: ")
		if err != nil {
			return err
		}
		if p.management = key; key == "" {
			if _, err := fmt.Fprintln(q.out, "❌ Provisioning key is required. Keys are made at https://openrouter.ai/settings/management-keys."); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *program) menuCreate(cmd *cobra.Command, q *prompter) error {
	if err := p.askManagement(q); err != nil {
		return err
	}
	var name string
	var err error
	for fleet.Slug(name) == "" && err == nil {
		if name, err = q.line("Enter client organization name: "); err == nil && fleet.Slug(name) == "" {
			_, err = fmt.Fprintln(q.out, "❌ A name with at least one letter or digit is required.")
		}
	}
	var limit *money.Amount
	for asked := false; !asked && err == nil; {
		var l limits
		if l.cost, err = q.line("Enter monthly spending limit (USD, or press Enter to skip): "); err != nil {
			break
		}
		var wrong error
		if limit, wrong = l.limit(fleet.DefaultMarkup); wrong != nil {
			_, err = fmt.Fprintf(q.out, "❌ %s\n", fault.Message(wrong))
		}
		asked = wrong == nil
	}
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(q.out, "\n🔑 Creating API key for client: %s\n", name); err != nil {
		return err
	}
	return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
		c, err := f.Create(ctx, fleet.NewClient{Name: name, Markup: fleet.DefaultMarkup, Limit: limit}, func(string, string) {})
		if err != nil {
			return unfinished(cmd, c, err)
		}
		d, err := newDeployment(ctx, f, c, true)
		if err == nil {
			_, err = fmt.Fprintln(q.out, "✅ API key created successfully! It is shown this once and kept sealed.")
		}
		if err != nil {
			return err
		}
		return d.print(cmd)
	})
}

func (p *program) menuUsage(cmd *cobra.Command, q *prompter) error {
	key, err := q.secret("Enter API key to check usage: ")
	if err != nil {
		return err
	}
	return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
		u, err := f.KeyUsage(ctx, key)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(q.out, "💰 Current usage: %s this month, %s in all\n💳 Credit limit: %s\n💵 Remaining balance: %s\n",
			dollars(&u.Month), dollars(&u.Total), dollars(u.Limit), dollars(u.Remaining))
		return err
	})
}
