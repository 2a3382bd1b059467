package main

import (
	"context"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"

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
			file, err := os.Open(identity)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "The recovery key file %s cannot be read.", identity)
			}
			defer func() { _ = file.Close() }() // it was only read
			identities, err := age.ParseIdentities(file)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "The file %s holds no recovery key. One is a line that begins with AGE-SECRET-KEY-1.", identity)
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
	return &cobra.Command{
		Use:   "recover",
		Short: "Without a backup: take in the clients whose keys are at OpenRouter",
		Long: "Recover makes a client of every instance's key at OpenRouter that belongs to none here, with its limit. Clients are then\n" +
			"named as their instances are, at the usual markup. Servers are taken in with `maictl server adopt`.",
		Example: "  maictl self recover && maictl plan",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				taken, err := f.Recover(ctx)
				for _, c := range taken {
					progress(cmd, c.Instance(), "taken in")
				}
				if err == nil && len(taken) == 0 {
					progress(cmd, "recover", "there is no key without a client")
				}
				return err
			})
		},
	}
}
