package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fileCalls are the system calls by which a program can change files. Writes to memory-mapped files are not seen: SQLite
// maps only the -shm file, which holds nothing that is not made anew.
const fileCalls = "open,openat,creat,mkdir,mkdirat,rmdir,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat," +
	"write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,copy_file_range,sendfile"

// maxTracedWrite is the longest write that is recorded whole.
const maxTracedWrite = 1 << 20

// tracing is what a program is run under for its file calls to be written to a file; nil when that cannot be done here.
// The tracer is a grandchild, so that the program is ours to kill.
func tracing(file string) []string {
	if _, err := exec.LookPath("strace"); err != nil {
		return nil
	}
	return []string{"strace", "-D", "-f", "--seccomp-bpf", "-y", "-ttt", "-T", "-xx", "-s", strconv.Itoa(maxTracedWrite),
		"-e", "trace=" + fileCalls, "-o", file}
}

// fileCall is a system call that succeeded.
type fileCall struct {
	name          string
	path, to      string // to: of a rename
	flags         string // of an open
	data          []byte
	offset        int64     // of a write; -1: at the end. Of ftruncate: the new size
	entered, left int       // its places in the order of all
	at            time.Time // when it returned
}

// readTrace reads the calls that touch a folder, what is in it, or the folder above it, in the order in which they returned, and whether the
// program's end was recorded too.
func readTrace(file, folder string) (calls []fileCall, ended bool, err error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = in.Close() }() // it was only read
	begun := map[string]started{}     // by thread
	lines := bufio.NewReaderSize(in, 1<<20)
	for number := 0; ; number++ {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return calls, ended, nil
		}
		if err != nil {
			return nil, false, err
		}
		c, whole, err := parseTraced(strings.TrimSuffix(line, "\n"), number, begun)
		if err != nil {
			return nil, false, fmt.Errorf("trace line %d, %.200q: %w", number+1, line, err)
		}
		ended = ended || strings.Contains(line, " +++ killed by ") || strings.Contains(line, " +++ exited with ")
		if whole && (c.path == filepath.Dir(folder) || c.path == folder || strings.HasPrefix(c.path, folder+"/")) {
			calls = append(calls, c)
		}
	}
}

// started is the beginning of a call during which another thread made one.
type started struct {
	text    string
	entered int
}

// parseTraced reads one line. whole is false when it is not the end of a call that succeeded.
func parseTraced(line string, number int, begun map[string]started) (c fileCall, whole bool, err error) {
	thread, line, _ := strings.Cut(line, " ")
	clock, line, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	if strings.HasPrefix(line, "+++") || strings.HasPrefix(line, "---") {
		return c, false, nil
	}
	c.entered, c.left = number, number
	if text, found := strings.CutSuffix(line, "<unfinished ...>"); found {
		begun[thread] = started{strings.TrimRight(text, " "), number}
		return c, false, nil
	}
	if _, rest, found := strings.Cut(line, " resumed>"); found && strings.HasPrefix(line, "<... ") {
		line, c.entered = begun[thread].text+rest, begun[thread].entered
		delete(begun, thread)
	}
	end := strings.LastIndexByte(line, ')')
	name, _, found := strings.Cut(line, "(")
	if strings.Contains(line, " = -1 ") || strings.Contains(line, " = ? ") || strings.HasSuffix(line, "= ?") {
		return c, false, nil
	}
	if !found || end < len(name)+1 {
		return c, false, errors.New("not a call")
	}
	c.name = name
	result := strings.Fields(strings.TrimLeft(line[end+1:], " ="))
	if len(result) < 2 {
		return c, false, errors.New("no result")
	}
	if c.at, err = returned(clock, result[len(result)-1], c.entered == c.left); err != nil {
		return c, false, err
	}
	return c, true, c.read(strings.Split(line[len(name)+1:end], ", "), result[0])
}

// returned is when a call returned: the line of its end has that time, a line that is whole has that of its beginning.
func returned(clock, took string, oneLine bool) (time.Time, error) {
	at, err := time.ParseDuration(clock + "s")
	if err != nil || !oneLine {
		return time.Unix(0, int64(at)), err
	}
	lasted, err := time.ParseDuration(strings.Trim(took, "<>") + "s")
	return time.Unix(0, int64(at+lasted)), err
}

// read takes what the replay needs of the arguments.
func (c *fileCall) read(args []string, result string) error {
	switch c.name {
	case "openat", "mkdirat", "unlinkat":
		args = args[1:] // the folder: all our paths are absolute
		fallthrough
	case "open", "creat", "mkdir", "rmdir", "unlink":
		c.path = unhex(args[0])
		if len(args) > 1 {
			c.flags = args[1]
		}
	case "rename":
		c.path, c.to = unhex(args[0]), unhex(args[1])
	case "renameat", "renameat2":
		c.path, c.to = unhex(args[1]), unhex(args[3])
	case "write", "pwrite64":
		c.path = pathOf(args[0])
		if !strings.HasPrefix(c.path, "/") {
			return nil // a connection or a pipe
		}
		if strings.HasSuffix(args[1], "...") {
			return errors.New("a write is not recorded whole")
		}
		n, err := strconv.Atoi(result)
		if err != nil {
			return err
		}
		c.data, c.offset = []byte(unhex(args[1]))[:n], -1
		if c.name == "pwrite64" {
			c.offset, err = strconv.ParseInt(args[3], 10, 64)
		}
		return err
	case "ftruncate":
		c.path = pathOf(args[0])
		var err error
		c.offset, err = strconv.ParseInt(args[1], 10, 64)
		return err
	default: // fsync and fdatasync, and what the replay refuses
		if c.path = pathOf(args[0]); c.path == "" {
			c.path = unhex(args[0])
		}
	}
	return nil
}

// pathOf is the path that stands behind a file descriptor.
func pathOf(arg string) string {
	_, path, _ := strings.Cut(arg, "<")
	path, _, _ = strings.Cut(path, ">")
	return unhex(path)
}

// unhex decodes text of which every byte is written as \xNN; other text it returns as it is.
func unhex(text string) string {
	text = strings.Trim(text, `"`)
	if !strings.HasPrefix(text, `\x`) {
		return text
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
	if err != nil {
		return text
	}
	return string(raw)
}

// replayed are the calls that the replay understands.
func replayed() []string {
	return []string{"open", "openat", "mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "write", "pwrite64", "ftruncate", "fsync", "fdatasync"}
}

// understood returns an error when a trace has a call that the replay does not understand.
func understood(calls []fileCall) error {
	for _, c := range calls {
		if !slices.Contains(replayed(), c.name) {
			return fmt.Errorf("the replay does not know the call %s, which was made on %s", c.name, c.path)
		}
	}
	return nil
}
