package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/pkg/sftp"

	"mai/internal/fault"
)

// files is the machine's file service, opened once.
func (m *Machine) files() (*sftp.Client, error) {
	m.fileLock.Lock()
	defer m.fileLock.Unlock()
	if m.fileConn != nil {
		return m.fileConn, nil
	}
	client, err := sftp.NewClient(m.client)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "%s offers no SFTP, which writes files there. Turn the sftp subsystem on in its sshd_config.", m.addr)
	}
	m.fileConn = client
	return client, nil
}

// Owner is who a file belongs to, as numbers.
type Owner struct{ UID, GID int }

// fullBelow is how many free bytes make a full disk the likely reason for a write that failed: SFTP itself says "Failure".
const fullBelow = 1 << 20

// explainFull says so when a write failed because the disk is full.
func (m *Machine) explainFull(files *sftp.Client, name string, err error) error {
	disk, unknown := files.StatVFS(path.Dir(name))
	if unknown != nil || disk.Frsize*disk.Bavail >= fullBelow {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "The disk of %s is full: %s cannot be written. Free space there (`df -h`, `docker system df`), then run `maictl resume`.", m.addr, name)
}

// Root owns what is the machine's.
func Root() Owner { return Owner{} }

// WriteFile makes a file with a content, a mode and an owner, or replaces it: at every moment there is the old content or
// the new, and nobody else can read the new one before it has its mode.
func (m *Machine) WriteFile(ctx context.Context, name string, content []byte, mode fs.FileMode, owner Owner) error {
	return m.Copy(ctx, bytes.NewReader(content), name, mode, owner)
}

// Copy is WriteFile with a stream as the content.
func (m *Machine) Copy(ctx context.Context, from io.Reader, name string, mode fs.FileMode, owner Owner) (err error) {
	files, err := m.files()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s on %s: %w", name, m.addr, err)
		}
	}()
	part := name + "." + rand.Text()[:8] + ".part"
	f, err := files.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { return files.Chmod(part, 0o600) },
		func() error { return files.Chown(part, owner.UID, owner.GID) },
		func() error { return files.Chmod(part, mode) },
		func() error { _, err := io.Copy(f, &cancellable{ctx, from}); return err },
		func() error { return unsupportedIsFine(f.Sync()) },
	}
	for _, step := range steps {
		if err == nil {
			err = step()
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = files.PosixRename(part, name)
	}
	if err != nil {
		err = errors.Join(m.explainFull(files, name, err), files.Remove(part))
	}
	return err
}

// unsupportedIsFine is for servers without fsync@openssh.com: they write as safely as they can.
func unsupportedIsFine(err error) error {
	var status *sftp.StatusError
	if errors.As(err, &status) && status.FxCode() == sftp.ErrSSHFxOpUnsupported {
		return nil
	}
	return err
}

// cancellable reads until its context ends.
type cancellable struct {
	ctx  context.Context
	from io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.from.Read(p)
}

// ReadFile returns the content of a small file. The error is fs.ErrNotExist when it is not there.
func (m *Machine) ReadFile(name string) ([]byte, error) {
	files, err := m.files()
	if err != nil {
		return nil, err
	}
	f, err := files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s on %s: %w", name, m.addr, err)
	}
	text, err := copyOut(f, mostOutput)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s on %s: %w", name, m.addr, err)
	}
	return []byte(text), nil
}

// List names what is in a folder; nothing when it is not there.
func (m *Machine) List(folder string) (names []string, err error) {
	files, err := m.files()
	if err != nil {
		return nil, err
	}
	list, err := files.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s on %s: %w", folder, m.addr, err)
	}
	for _, file := range list {
		names = append(names, file.Name())
	}
	return names, nil
}

// Stat describes a file. The error is fs.ErrNotExist when it is not there.
func (m *Machine) Stat(name string) (fs.FileInfo, error) {
	files, err := m.files()
	if err != nil {
		return nil, err
	}
	return files.Stat(name)
}

// MakeFolder makes a folder with all above it, and gives the last one its mode and owner.
func (m *Machine) MakeFolder(name string, mode fs.FileMode, owner Owner) error {
	files, err := m.files()
	if err != nil {
		return err
	}
	err = files.MkdirAll(path.Clean(name))
	if err == nil {
		err = files.Chown(name, owner.UID, owner.GID)
	}
	if err == nil {
		err = files.Chmod(name, mode)
	}
	if err != nil {
		return fmt.Errorf("make the folder %s on %s: %w", name, m.addr, err)
	}
	return nil
}

// Remove deletes a file. One that is not there is fine.
func (m *Machine) Remove(name string) error {
	files, err := m.files()
	if err != nil {
		return err
	}
	if err := files.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s on %s: %w", name, m.addr, err)
	}
	return nil
}

// Rename gives a file or folder another name, in place of one that has it.
func (m *Machine) Rename(from, to string) error {
	files, err := m.files()
	if err != nil {
		return err
	}
	if err := files.PosixRename(from, to); err != nil {
		return fmt.Errorf("rename %s to %s on %s: %w", from, to, m.addr, err)
	}
	return nil
}

// Fetch writes the content of a file, however large, to a writer.
func (m *Machine) Fetch(ctx context.Context, name string, to io.Writer) error {
	files, err := m.files()
	if err != nil {
		return err
	}
	f, err := files.Open(name)
	if err != nil {
		return fmt.Errorf("read %s on %s: %w", name, m.addr, err)
	}
	_, err = io.Copy(to, &cancellable{ctx, f})
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read %s on %s: %w", name, m.addr, err)
	}
	return nil
}
