package fleet

import (
	"context"
	"strings"

	"golang.org/x/crypto/ssh"

	"mai/internal/fault"
	"mai/internal/remote"
	"mai/internal/sqldb"
)

const (
	// recoverySetting is the row of the public key that lets the provider into its hosts without maictl.
	recoverySetting = "recovery-key"
	// recoveryMark ends its line in an authorized_keys file, so that it can be exchanged there.
	recoveryMark = " maictl-recovery"
)

// RecoveryKey is the public SSH key that every host lets in beside ours, so that a person gets in when our own is lost; ""
// is none. As long as nobody ever said which, it is not known, and hosts stay as they are.
func (f *Fleet) RecoveryKey(ctx context.Context) (key string, known bool, err error) {
	return f.setting(ctx, recoverySetting)
}

// SetRecoveryKey changes it; "" takes it away. Hosts learn it when their clients are next brought to what is wanted.
func (f *Fleet) SetRecoveryKey(ctx context.Context, line string) error {
	if line != "" {
		key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || len(options) > 0 || len(strings.TrimSpace(string(rest))) > 0 {
			return fault.Wrap(fault.Invalid, err, "A recovery key is one public SSH key, such as the file ~/.ssh/id_ed25519.pub: \"ssh-ed25519 AAAA…\".")
		}
		line = keyLine(key)
	}
	return f.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := set(tx, recoverySetting, line); err != nil {
			return err
		}
		return f.audit(tx, "", "recovery-key.set", "done", line)
	})
}

// planAccess compares who may log in to a client's server with the recovery key that is wanted. All other keys there are
// none of our business.
func (f *Fleet) planAccess(ctx context.Context, w *work) ([]action, error) {
	machine, err := f.machine(ctx, w)
	if err != nil {
		return nil, err
	}
	key, known, err := f.RecoveryKey(ctx)
	if err != nil || !known {
		return nil, err
	}
	there, err := machine.Access()
	if err != nil {
		return nil, err
	}
	want := withRecovery(there, key)
	if want == there {
		return nil, nil
	}
	what := "let the recovery key into " + w.at.Name
	if key == "" {
		what = "no longer let the recovery key into " + w.at.Name
	}
	return []action{{what, func(ctx context.Context) error {
		return f.outside(ctx, w, "access.write", w.at.Name, func() error { return machine.SetAccess(ctx, want) })
	}}}, nil
}

// keepRecovery takes a person's key, with which a recovery got in, for the recovery key again, if a host has it as that and
// nobody said otherwise.
func (f *Fleet) keepRecovery(ctx context.Context, machine *remote.Machine, key ssh.Signer) error {
	if key == nil {
		return nil
	}
	_, known, err := f.RecoveryKey(ctx)
	if err != nil || known {
		return err
	}
	there, err := machine.Access()
	line := keyLine(key.PublicKey())
	if err != nil || withRecovery(there, line) != there {
		return err
	}
	return f.SetRecoveryKey(ctx, line)
}

// withRecovery is an authorized_keys file with that recovery key, and no other.
func withRecovery(lines, key string) string {
	var kept strings.Builder
	want, found := key+recoveryMark, false
	for line := range strings.Lines(lines) {
		text := strings.TrimSpace(line)
		wanted := key != "" && text == want && !found
		if wanted || !strings.HasSuffix(text, recoveryMark) {
			kept.WriteString(line)
		}
		found = found || wanted
	}
	if found || key == "" {
		return kept.String()
	}
	return withLine(kept.String(), want)
}

// withLine is a file with one more line.
func withLine(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}
