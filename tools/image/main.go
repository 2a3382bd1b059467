// Command image packs mai or the edge, as a static binary, into a container image without Docker:
// the program, its data folders and nothing else. The file it writes is an OCI
// layout and a docker-load archive at once, so every engine and registry tool
// takes it, and the same inputs give the same bytes.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is who the program runs as: a number, because the image has no passwd
// file, and not root, so that a break-out would be nobody on the host.
const user = 65532

const dataFolder = "app/backend/data/"

// program is one that can be packed.
type program struct {
	title, name, tag string
	args, env, ports []string
	health           []string
	// folders belong to user. A volume that is mounted there for the first time takes over their owner.
	folders  []string
	maxBytes int64
}

// programs are what can be packed, by the name of their binaries.
func programs() map[string]program {
	return map[string]program{
		"mai": {
			title: "mAI", name: "mai", tag: "mai-production:latest", args: []string{"serve"}, env: []string{"DATA_DIR=/" + strings.TrimSuffix(dataFolder, "/"), "MAI_BACKUP_DIR=/app/backups"},
			ports: []string{"8080/tcp"}, health: []string{"CMD", "/mai", "health"},
			folders: []string{"app/", "app/backend/", dataFolder, "app/backups/"}, maxBytes: 40_000_000,
		},
		"edge": {
			title: "mAI edge", name: "edge", tag: "mai-edge:latest", ports: []string{"80/tcp", "443/tcp", "443/udp"},
			health: []string{"CMD", "/edge", "health"}, folders: []string{"data/"}, maxBytes: 60_000_000,
		},
	}
}

// options say what to pack.
type options struct {
	program
	binary, out, arch, version string
	tags                       []string
	created                    time.Time
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	var o options
	var which, tags string
	var created int64
	fs := flag.NewFlagSet("image", flag.ContinueOnError)
	fs.StringVar(&which, "program", "mai", "what the binary is: mai or edge")
	fs.StringVar(&o.binary, "binary", "", "static linux binary to pack")
	fs.StringVar(&o.out, "out", "", "file to write")
	fs.StringVar(&o.arch, "arch", "amd64", "architecture of the binary")
	fs.StringVar(&o.version, "version", "dev", "version of the binary")
	fs.StringVar(&tags, "tags", "", "names of the image, separated by commas; mai-production:latest or mai-edge:latest")
	fs.Int64Var(&created, "created", 0, "Unix time of creation; the commit's, so that a build can be repeated")
	limit := fs.Int64("max", 0, "largest allowed unpacked size in bytes, instead of the usual one")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.binary == "" || o.out == "" {
		return errors.New("-binary and -out are needed")
	}
	var known bool
	if o.program, known = programs()[which]; !known {
		return fmt.Errorf("-program is mai or edge, not %q", which)
	}
	if tags == "" {
		tags = o.tag
	}
	if *limit > 0 {
		o.maxBytes = *limit
	}
	o.tags, o.created = strings.Split(tags, ","), time.Unix(created, 0).UTC()
	img, unpacked, err := build(o)
	if err != nil {
		return err
	}
	if unpacked > o.maxBytes {
		return fmt.Errorf("%d bytes unpacked, at most %d are allowed", unpacked, o.maxBytes)
	}
	if err := write(img, o); err != nil {
		return err
	}
	return report(stdout, img, o, unpacked)
}

// build returns the image and its size once unpacked.
func build(o options) (v1.Image, int64, error) {
	binary, err := os.ReadFile(o.binary)
	if err != nil {
		return nil, 0, err
	}
	// Two layers: an update then carries the program only.
	base, err := layer(o.created, func(tw *tar.Writer) error {
		for _, name := range o.folders {
			h := &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, Uid: user, Gid: user, ModTime: o.created}
			if err := tw.WriteHeader(h); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	program, err := layer(o.created, func(tw *tar.Writer) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: o.name, Mode: 0o755, Size: int64(len(binary)), ModTime: o.created}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err := tw.Write(binary)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img,
		mutate.Addendum{Layer: base, History: v1.History{Created: v1.Time{Time: o.created}, CreatedBy: "data folders"}},
		mutate.Addendum{Layer: program, History: v1.History{Created: v1.Time{Time: o.created}, CreatedBy: o.name + " " + o.version}},
	)
	if err != nil {
		return nil, 0, err
	}
	img, err = configure(img, o)
	return img, int64(len(binary)), err
}

// layer packs what fill writes.
func layer(created time.Time, fill func(*tar.Writer) error) (v1.Layer, error) {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	if err := fill(tw); err != nil {
		return nil, err
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

// configure states how the program is run, so that `docker run` needs only a
// port and a volume.
func configure(img v1.Image, o options) (v1.Image, error) {
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Created = v1.Time{Time: o.created}
	file.OS, file.Architecture = "linux", o.arch
	file.Config = v1.Config{
		User:         fmt.Sprintf("%d:%d", user, user),
		Entrypoint:   []string{"/" + o.name},
		Cmd:          o.args,
		Env:          o.env,
		WorkingDir:   "/",
		ExposedPorts: map[string]struct{}{},
		Volumes:      map[string]struct{}{},
		StopSignal:   "SIGTERM",
		Healthcheck: &v1.HealthConfig{
			Test: o.health, Interval: 30 * time.Second,
			Timeout: 10 * time.Second, StartPeriod: 10 * time.Second, Retries: 3,
		},
		Labels: map[string]string{
			"org.opencontainers.image.title":    o.title,
			"org.opencontainers.image.version":  o.version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	for _, port := range o.ports {
		file.Config.ExposedPorts[port] = struct{}{}
	}
	if o.name == "mai" {
		file.Config.Volumes["/"+strings.TrimSuffix(dataFolder, "/")] = struct{}{}
	}
	return mutate.ConfigFile(img, file)
}

// report prints what a person wants to know of a new image.
func report(w io.Writer, img v1.Image, o options, unpacked int64) error {
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	info, err := os.Stat(o.out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s (%s/%s)\n  file      %s, %.1f MB\n  unpacked  %.1f MB of at most %.0f MB\n  digest    %s\n",
		strings.Join(o.tags, ", "), "linux", o.arch, o.out, float64(info.Size())/1e6, float64(unpacked)/1e6, float64(o.maxBytes)/1e6, digest)
	return err
}
