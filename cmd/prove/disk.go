package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// disk is what a folder looks like to the programs that use it, and how much of that would survive a power cut: of a
// file, what was written before its last fsync; of a folder, the names it had at its last fsync.
type disk struct {
	files   map[string]*inode // as programs see them, by path
	durable map[string]*inode // the names that are certain to be there after a power cut
	names   []naming          // made, moved or removed since
}

// inode is a file without its name; a folder has no content.
type inode struct {
	folder  bool
	size    int64 // as programs see it
	content []byte
	pending []change // since its last fsync
}

// change is a write, or with data nil a truncation to the size offset.
type change struct {
	data   []byte
	offset int64
	left   int
}

// naming puts a file under a name, or with file nil removes the name; from is the name it had before.
type naming struct {
	path, from string
	file       *inode
	left       int
}

func newDisk() *disk {
	return &disk{files: map[string]*inode{}, durable: map[string]*inode{}}
}

// holding is a disk with the files of a folder, which is a copy of what was durable in another one.
func holding(from, folder string) (*disk, error) {
	d := newDisk()
	if from == "" {
		return d, nil
	}
	files, err := os.ReadDir(from)
	for _, file := range files {
		if !file.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(from, file.Name()))
		if err != nil {
			return nil, err
		}
		d.durable[filepath.Join(folder, file.Name())] = &inode{size: int64(len(content)), content: content}
	}
	d.durable[folder] = &inode{folder: true}
	d.files = maps.Clone(d.durable)
	return d, err
}

// apply replays a call.
func (d *disk) apply(c fileCall) {
	switch c.name {
	case "open", "openat":
		d.open(c)
	case "mkdir", "mkdirat":
		d.name(naming{path: c.path, file: &inode{folder: true}, left: c.left})
	case "unlink", "unlinkat":
		d.name(naming{path: c.path, left: c.left})
	case "rename", "renameat", "renameat2":
		d.name(naming{path: c.to, from: c.path, file: d.files[c.path], left: c.left})
	case "write", "pwrite64":
		file := d.files[c.path]
		if file == nil {
			return // its name is gone, so nothing of it is left
		}
		if c.offset < 0 {
			c.offset = file.size
		}
		file.size = max(file.size, c.offset+int64(len(c.data)))
		file.pending = append(file.pending, change{c.data, c.offset, c.left})
	case "ftruncate":
		if file := d.files[c.path]; file != nil {
			file.size = c.offset
			file.pending = append(file.pending, change{nil, c.offset, c.left})
		}
	case "fsync", "fdatasync":
		d.sync(c)
	}
}

func (d *disk) open(c fileCall) {
	file := d.files[c.path]
	switch {
	case file == nil && strings.Contains(c.flags, "O_CREAT"):
		d.name(naming{path: c.path, file: &inode{}, left: c.left})
	case file != nil && strings.Contains(c.flags, "O_TRUNC"):
		file.size = 0
		file.pending = append(file.pending, change{nil, 0, c.left})
	}
}

func (d *disk) name(n naming) {
	n.in(d.files)
	d.names = append(d.names, n)
}

// in carries the naming out.
func (n naming) in(files map[string]*inode) {
	delete(files, n.from)
	if delete(files, n.path); n.file != nil {
		files[n.path] = n.file
	}
}

// sync makes durable what had been done to a file or a folder when the call began.
func (d *disk) sync(c fileCall) {
	file := d.files[c.path]
	if file != nil && !file.folder {
		for len(file.pending) > 0 && file.pending[0].left < c.entered {
			file.content = file.pending[0].on(file.content)
			file.pending = file.pending[1:]
		}
		return
	}
	d.names = slices.DeleteFunc(d.names, func(n naming) bool {
		if filepath.Dir(n.path) != c.path || n.left > c.entered {
			return false
		}
		n.in(d.durable)
		return true
	})
}

// on returns content with the change made.
func (c change) on(content []byte) []byte {
	end := c.offset + int64(len(c.data))
	if c.data == nil && int64(len(content)) > c.offset {
		return content[:c.offset]
	}
	if missing := end - int64(len(content)); missing > 0 {
		content = append(content, make([]byte, missing)...)
	}
	copy(content[c.offset:], c.data)
	return content
}

// sector is what a disk writes whole.
const sector = 512

// fate says what becomes of what is not durable when the power goes.
type fate int

const (
	dropped fate = iota // nothing of it is on the disk
	emptied             // the names are, the writes are not
	subset              // some of the writes are
	torn                // some sectors of the writes are
	kept                // everything is, as after a kill
	fates
)

func (how fate) String() string {
	return [fates]string{"dropped", "emptied", "subset", "torn", "kept"}[how]
}

// cut writes what a power cut at this moment leaves of folder to target, which must not exist. The -shm file is always
// lost: SQLite makes it anew.
func (d *disk) cut(rng *rand.Rand, how fate, folder, target string) error {
	names := maps.Clone(d.durable)
	survive := 0 // of the namings: file systems keep their order
	switch how {
	case kept, emptied:
		survive = len(d.names)
	case subset, torn:
		survive = rng.IntN(len(d.names) + 1)
	}
	for _, n := range d.names[:survive] {
		n.in(names)
	}
	if names[folder] == nil {
		return nil // the folder itself is lost
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(names)) {
		file := names[path]
		rel, below := strings.CutPrefix(path, folder+"/")
		if !below || strings.HasSuffix(path, "-shm") {
			continue
		}
		if file.folder {
			return fmt.Errorf("%s: the replay knows no folders in the folder", path)
		}
		if err := os.WriteFile(filepath.Join(target, rel), file.after(rng, how), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// after is the content that a power cut leaves.
func (file *inode) after(rng *rand.Rand, how fate) []byte {
	content := bytes.Clone(file.content)
	for _, c := range file.pending {
		switch {
		case how == dropped, how == emptied:
		case how == kept, (how == subset || c.data == nil) && rng.IntN(2) == 0:
			content = c.on(content)
		case how == torn && c.data != nil:
			for _, piece := range c.sectors() {
				if rng.IntN(2) == 0 {
					content = piece.on(content)
				}
			}
		}
	}
	return content
}

// sectors are the parts of a write that the disk writes whole.
func (c change) sectors() (pieces []change) {
	for rest, offset := c.data, c.offset; len(rest) > 0; {
		n := min(int64(len(rest)), sector-offset%sector)
		pieces = append(pieces, change{data: rest[:n], offset: offset})
		rest, offset = rest[n:], offset+n
	}
	return pieces
}

// copyFolder copies a data folder, but not the socket that a killed server leaves in it.
func copyFolder(to, from string) error {
	if err := os.Remove(filepath.Join(from, "mai.sock")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
