package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pkg/sftp"
)

// accessFile says whose keys let in the user that we are; it is looked for from their home.
const accessFile = ".ssh/authorized_keys"

// Access is the content of the user's authorized_keys file; nothing when there is none.
func (m *Machine) Access() (string, error) {
	text, err := m.ReadFile(accessFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// SetAccess replaces the user's authorized_keys file.
func (m *Machine) SetAccess(ctx context.Context, lines string) error {
	home, err := m.Stat(".")
	if err != nil {
		return err
	}
	stat, ok := home.Sys().(*sftp.FileStat)
	if !ok {
		return fmt.Errorf("the SFTP server of %s does not say whose the home is", m.addr)
	}
	owner := Owner{int(stat.UID), int(stat.GID)}
	if err := m.MakeFolder(path.Dir(accessFile), 0o700, owner); err != nil {
		return err
	}
	return m.WriteFile(ctx, accessFile, []byte(lines), 0o600, owner)
}
