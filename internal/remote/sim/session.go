package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// session runs one program, or serves files.
func (m *Machine) session(asked ssh.NewChannel) {
	channel, requests, err := asked.Accept()
	if err != nil {
		return // the connection ended
	}
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	for request := range requests {
		var text struct{ Value string }
		known := ssh.Unmarshal(request.Payload, &text) == nil
		switch {
		case known && request.Type == "exec":
			argv, err := words(text.Value)
			_ = request.Reply(err == nil, nil) // the connection ended
			if err == nil {
				go m.exec(ctx, channel, argv)
			}
		case known && request.Type == "subsystem" && text.Value == "sftp":
			_ = request.Reply(true, nil) // likewise
			go m.sftp(channel)
		case request.Type == "signal":
			cancel()
		default:
			_ = request.Reply(false, nil) // likewise
		}
	}
}

func (m *Machine) exec(ctx context.Context, channel ssh.Channel, argv []string) {
	m.lock.Lock()
	m.argv = append(m.argv, argv)
	m.lock.Unlock()
	status := 127
	if m.opts.Run != nil {
		status = m.opts.Run(ctx, argv, channel, channel, channel.Stderr())
	} else {
		_, _ = fmt.Fprintf(channel.Stderr(), "%s: command not found\n", argv[0]) // the reader may be gone
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)})) // likewise
	_ = channel.Close()
}

// words reads a line that holds nothing but quoted arguments. Anything that a shell would have to interpret is an error:
// a machine that is told only exact arguments never gets one.
func words(line string) (argv []string, err error) {
	for rest := line; rest != ""; {
		var word strings.Builder
		for rest != "" && rest[0] != ' ' {
			switch {
			case strings.HasPrefix(rest, `\'`):
				word.WriteByte('\'')
				rest = rest[2:]
			case rest[0] == '\'':
				end := strings.IndexByte(rest[1:], '\'')
				if end < 0 {
					return nil, errors.New("an open quote")
				}
				word.WriteString(rest[1 : 1+end])
				rest = rest[end+2:]
			default:
				return nil, fmt.Errorf("%q is not quoted", rest)
			}
		}
		argv, rest = append(argv, word.String()), strings.TrimPrefix(rest, " ")
	}
	if len(argv) == 0 {
		return nil, errors.New("nothing to run")
	}
	return argv, nil
}

// sftp serves the machine's files.
func (m *Machine) sftp(channel ssh.Channel) {
	root, err := os.OpenRoot(m.opts.Root)
	if err != nil {
		_ = channel.Close() // the other side sees that there is no file service
		return
	}
	f := files{root}
	server := sftp.NewRequestServer(channel, sftp.Handlers{FileGet: f, FilePut: f, FileCmd: f, FileList: f})
	_ = server.Serve() // it ends with the connection
	_, _ = server.Close(), root.Close()
}

// files is a folder as the whole of a machine's files.
type files struct{ root *os.Root }

// at is the path below the root of a path there.
func at(name string) string { return "./" + strings.TrimPrefix(path.Clean("/"+name), "/") }

// Fileread opens a file.
func (f files) Fileread(r *sftp.Request) (io.ReaderAt, error) { return f.root.Open(at(r.Filepath)) }

// Filewrite makes a file, or opens it.
func (f files) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	flags, asked := os.O_WRONLY, r.Pflags()
	for flag, set := range map[int]bool{os.O_CREATE: asked.Creat, os.O_EXCL: asked.Excl, os.O_TRUNC: asked.Trunc} {
		if set {
			flags |= flag
		}
	}
	return f.root.OpenFile(at(r.Filepath), flags, 0o644)
}

// Filecmd changes what is not a content.
func (f files) Filecmd(r *sftp.Request) error {
	name := at(r.Filepath)
	switch r.Method {
	case "Setstat":
		attributes, set := r.Attributes(), r.AttrFlags()
		if set.Permissions {
			return f.root.Chmod(name, attributes.FileMode().Perm())
		}
		if set.UidGid {
			err := f.root.Chown(name, int(attributes.UID), int(attributes.GID))
			if errors.Is(err, fs.ErrPermission) {
				return nil // the test does not run as root, which a machine's owner is
			}
			return err
		}
		return nil
	case "Rename":
		return f.root.Rename(name, at(r.Target))
	case "Mkdir":
		return f.root.Mkdir(name, 0o755)
	case "Remove", "Rmdir":
		return f.root.Remove(name)
	}
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename renames in place of what is there.
func (f files) PosixRename(r *sftp.Request) error { return f.root.Rename(at(r.Filepath), at(r.Target)) }

// Filelist lists a folder, or describes one file.
func (f files) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method != "List" {
		info, err := f.root.Lstat(at(r.Filepath))
		return listing{info}, err
	}
	folder, err := f.root.Open(at(r.Filepath))
	if err != nil {
		return nil, err
	}
	all, err := folder.Readdir(-1)
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return listing(all), errors.Join(err, folder.Close())
}

type listing []fs.FileInfo

// ListAt hands out a part of the list.
func (l listing) ListAt(into []fs.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}
