package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"mai/internal/fault"
	"mai/internal/throttle"
)

// maxManifest bounds what is read of a manifest, in bytes.
const maxManifest = 1 << 20

// Pack writes an archive with the manifest and its files, whose sources are named by the map, durably to a new file.
// It is encrypted when there are recipients.
func Pack(ctx context.Context, path string, m Manifest, sources map[string]string, recipients []age.Recipient) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var out io.WriteCloser = &throttle.File{File: file}
	plain := out
	if len(recipients) > 0 {
		if out, err = age.Encrypt(out, recipients...); err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
	}
	// One goroutine, small windows and the fastest level: it runs beside the workspace, in whose memory it must fit. The default
	// level made text hardly smaller and took half as long again.
	compressed, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if err := writeTar(ctx, compressed, m, sources); err != nil {
		return err
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	if out != plain {
		if err := out.Close(); err != nil {
			return err
		}
	}
	return file.Sync()
}

func writeTar(ctx context.Context, w io.Writer, m Manifest, sources map[string]string) error {
	archive := tar.NewWriter(w)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: manifestFile, Mode: 0o600, Size: int64(len(text)), ModTime: m.CreatedAt}); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := archive.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o600, Size: f.Size, ModTime: m.CreatedAt}); err != nil {
			return err
		}
		file, err := os.Open(sources[f.Name])
		if err != nil {
			return err
		}
		_, err = io.Copy(archive, &reader{ctx: ctx, r: file, paced: true})
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return archive.Close()
}

// reader reads until its context ends. A paced one is used beside the workspace.
type reader struct {
	ctx   context.Context
	r     io.Reader
	paced bool
	pace  throttle.Pace
}

func (r *reader) Read(p []byte) (int, error) {
	err := r.ctx.Err()
	if r.paced {
		err = r.pace.Rest(r.ctx)
	}
	if err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Archive is an open backup, of which the manifest was read.
type Archive struct {
	Manifest
	Encrypted bool

	file *os.File
	zstd *zstd.Decoder
	tar  *tar.Reader
}

// ageMagic is how every encrypted archive begins.
const ageMagic = "age-encryption.org/"

// OpenArchive opens a backup and reads what it says of itself. The identities are tried when it is encrypted. Close it.
func OpenArchive(ctx context.Context, path string, identities ...age.Identity) (*Archive, error) {
	return openArchive(path, identities, &reader{ctx: ctx})
}

// openArchive reads the archive's file through the reader.
func openArchive(path string, identities []age.Identity, in *reader) (*Archive, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "The backup %s cannot be read.", path)
	}
	a := &Archive{file: file}
	in.r = file
	if err := a.open(path, identities, in); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// plain reads a backup's file decrypted, through the reader, and says whether it was encrypted.
func plain(file *os.File, identities []age.Identity, in io.Reader) (_ io.Reader, encrypted bool, err error) {
	start := make([]byte, len(ageMagic))
	n, err := file.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("read %s: %w", file.Name(), err)
	}
	if string(start[:n]) != ageMagic {
		return in, false, nil
	}
	if len(identities) == 0 {
		return nil, true, fault.New(fault.Invalid, "The backup %s is encrypted. Give the file with its recovery key: --identity FILE.", file.Name())
	}
	if in, err = age.Decrypt(in, identities...); err != nil {
		if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
			return nil, true, fault.Wrap(fault.Forbidden, err, "The backup %s was encrypted for another key than this one. Use the recovery key that was in force when it was made.", file.Name())
		}
		return nil, true, broken(file.Name(), err)
	}
	return in, true, nil
}

func (a *Archive) open(path string, identities []age.Identity, in io.Reader) error {
	in, encrypted, err := plain(a.file, identities, in)
	if a.Encrypted = encrypted; err != nil {
		return err
	}
	if a.zstd, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(64<<20)); err != nil {
		return broken(path, err)
	}
	a.tar = tar.NewReader(a.zstd)
	header, err := a.tar.Next()
	if err != nil {
		return broken(path, err)
	}
	if header.Name != manifestFile || header.Size > maxManifest {
		return broken(path, errors.New("it does not begin with a manifest"))
	}
	text, err := io.ReadAll(a.tar)
	if err == nil {
		err = json.Unmarshal(text, &a.Manifest)
	}
	if err != nil {
		return broken(path, err)
	}
	return nil
}

// broken says that an archive is not what was written.
func broken(path string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.Wrap(fault.Conflict, err, "The backup %s is damaged or cut short: %s. Nothing of it was used; take another one.", path, err)
}

// Close releases the file.
func (a *Archive) Close() {
	if a.zstd != nil {
		a.zstd.Close()
	}
	_ = a.file.Close() // it was only read
}

// Unpack writes the files of the archive into a folder, durably, and compares each with the manifest. Of Unpack and Check
// one may be called, once.
func (a *Archive) Unpack(dir string) error {
	return a.walk(func(f File) error { return a.unpackFile(filepath.Join(dir, f.Name), f) })
}

// Check reads the archive to its end and compares each file with the manifest, without keeping any.
func (a *Archive) Check() error {
	return a.walk(func(f File) error { return a.copyFile(io.Discard, f) })
}

// walk calls fn with each file, whose content the tar then yields.
func (a *Archive) walk(fn func(File) error) error {
	for _, f := range a.Files {
		header, err := a.tar.Next()
		if err != nil {
			return broken(a.file.Name(), err)
		}
		// Names come from the manifest only when they are ours: nothing can leave the folder.
		if header.Name != f.Name || f.Name != filepath.Base(f.Name) || f.Name == manifestFile || header.Typeflag != tar.TypeReg {
			return broken(a.file.Name(), fmt.Errorf("it holds %q where its manifest says %q", header.Name, f.Name))
		}
		if err := fn(f); err != nil {
			return err
		}
	}
	switch _, err := a.tar.Next(); {
	case err == nil:
		return broken(a.file.Name(), errors.New("it holds more than its manifest says"))
	case !errors.Is(err, io.EOF):
		return broken(a.file.Name(), err)
	}
	// What follows the tar is nothing, but only whoever reads to the end learns whether the archive has one.
	if _, err := io.Copy(io.Discard, a.zstd); err != nil {
		return broken(a.file.Name(), err)
	}
	return nil
}

func (a *Archive) unpackFile(path string, want File) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	err = a.copyFile(diskWriter{&throttle.File{File: file}}, want)
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if failed, onDisk := errors.AsType[*diskError](err); onDisk {
		if errors.Is(err, syscall.ENOSPC) {
			return fault.Wrap(fault.Unavailable, err, "The disk of %s is full: %s needs %d bytes. Free some space and try again.", filepath.Dir(path), want.Name, want.Size)
		}
		return failed.err
	}
	return err
}

// copyFile copies the file that the tar yields now, and compares it with the manifest. An error of the writer is returned
// as it is.
func (a *Archive) copyFile(to io.Writer, want File) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), a.tar)
	if failed, onDisk := errors.AsType[*diskError](err); onDisk {
		return failed
	}
	if err == nil && (n != want.Size || hex.EncodeToString(h.Sum(nil)) != want.SHA256) {
		err = fmt.Errorf("%s is not what was packed", want.Name)
	}
	if err != nil {
		return broken(a.file.Name(), err)
	}
	return nil
}

// OpenPlain opens a backup as what it is inside of its encryption: an archive that needs no key. Each piece is
// authenticated before it is passed on, so a damaged or shortened one fails to be read to its end.
func OpenPlain(ctx context.Context, path string, identities ...age.Identity) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "The backup %s cannot be read.", path)
	}
	in, _, err := plain(file, identities, &reader{ctx: ctx, r: file})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{in, file}, nil
}

// diskWriter marks errors of writing, so that a full disk is not taken for a damaged archive.
type diskWriter struct{ io.Writer }

type diskError struct{ err error }

func (e *diskError) Error() string { return e.err.Error() }
func (e *diskError) Unwrap() error { return e.err }

func (w diskWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = &diskError{err}
	}
	return n, err
}
