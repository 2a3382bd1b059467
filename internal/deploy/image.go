package deploy

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"mai/internal/fault"
)

// The titles of our images, which say what an archive holds.
const (
	TitleMai  = "mAI"
	TitleEdge = "mAI edge"
)

// Image is one of our programs packed for one kind of processor, in a folder of this machine.
type Image struct {
	Digest  string // of its manifest, "sha256:…": what a release is known by
	Title   string // TitleMai or TitleEdge
	Version string
	Arch    string // "amd64" or "arm64"

	folder   string // an OCI layout
	config   string // digest of its configuration: its id where an engine does not keep manifests
	manifest []byte
	media    string
}

// Name is what the image is called on hosts.
func (i Image) Name() string {
	repository := "mai-production"
	if i.Title == TitleEdge {
		repository = "mai-edge"
	}
	return repository + ":" + i.Short()
}

// Short is the digest as people compare it.
func (i Image) Short() string { return Short(i.Digest) }

// Short is a digest as people compare it.
func Short(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return hex[:min(len(hex), 12)]
}

// member are the files of an archive that are kept; all else, such as the manifest of older engines, is passed over.
var member = regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)

// mostBytes is the most that an image may unpack to on this machine.
const mostBytes = 500 << 20

// AddImage takes an image archive, as `make image` writes it, into a folder of images. Every byte of it is checked
// against its digest. Adding it again changes nothing.
func AddImage(archive, images string) (img Image, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return img, fault.Wrap(fault.Invalid, err, "The image %s cannot be read. `make image` writes one.", archive)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	part, err := os.MkdirTemp(images, "part-")
	if err != nil {
		return img, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(part)) }()
	if err := unpack(f, part); err != nil {
		return img, fault.Wrap(fault.Invalid, err, "%s is not an image archive of mAI, or it is damaged.", archive)
	}
	img, err = readImage(part, true)
	if err != nil {
		return img, fault.Wrap(fault.Invalid, err, "%s is not an image archive of mAI, or it is damaged.", archive)
	}
	img.folder = ImageFolder(images, img.Digest)
	if _, err := os.Stat(img.folder); err == nil {
		return img, nil
	}
	return img, os.Rename(part, img.folder)
}

// unpack writes the kept files of an archive into a folder.
func unpack(archive io.Reader, folder string) error {
	left := int64(mostBytes)
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !member.MatchString(header.Name) || header.Typeflag != tar.TypeReg {
			continue
		}
		if left -= header.Size; left < 0 {
			return fmt.Errorf("more than %d bytes", int64(mostBytes))
		}
		name := filepath.Join(folder, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, reader)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}

// ImageFolder is where an image is in a folder of images, if it is there.
func ImageFolder(images, digest string) string {
	return filepath.Join(images, strings.TrimPrefix(digest, "sha256:"))
}

// OpenImage finds an image in a folder of images.
func OpenImage(images, digest string) (Image, error) {
	img, err := readImage(ImageFolder(images, digest), false)
	if err == nil && img.Digest != digest {
		err = fmt.Errorf("it holds %s", img.Digest)
	}
	if err != nil {
		return img, fault.Wrap(fault.NotFound, err, "The image %s is not on this machine any more. Add it again with `maictl release add`.", Short(digest))
	}
	return img, nil
}

// Absent is an image of mAI of which this machine has no file. Hosts that have it know it by its name, which holds the digest.
func Absent(digest string) Image { return Image{Digest: digest, Title: TitleMai} }

// Here reports whether this machine has the file of the image, so that it can be sent to a host.
func (i Image) Here() bool { return i.folder != "" }

// readImage reads what an image says of itself and, if asked to, checks every byte.
func readImage(folder string, check bool) (Image, error) {
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return Image{}, err
	}
	listed, err := index.IndexManifest()
	if err != nil {
		return Image{}, err
	}
	if len(listed.Manifests) == 0 {
		return Image{}, errors.New("it holds no image")
	}
	packed, err := index.Image(listed.Manifests[0].Digest)
	if err == nil && check {
		err = validate.Image(packed)
	}
	if err != nil {
		return Image{}, err
	}
	config, err := packed.ConfigFile()
	if err != nil {
		return Image{}, err
	}
	id, err := packed.ConfigName()
	if err != nil {
		return Image{}, err
	}
	raw, err := packed.RawManifest()
	if err != nil {
		return Image{}, err
	}
	labels := config.Config.Labels
	img := Image{Digest: listed.Manifests[0].Digest.String(), Title: labels["org.opencontainers.image.title"], Version: labels["org.opencontainers.image.version"],
		Arch: config.Architecture, folder: folder, config: id.String(), manifest: raw, media: string(listed.Manifests[0].MediaType)}
	if img.Title != TitleMai && img.Title != TitleEdge {
		return img, fmt.Errorf("its title is %q", img.Title)
	}
	return img, nil
}

// registry serves the image as a registry does, for as long as a host pulls it: reads only, and nothing else.
func (i Image) registry() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v2/mai/manifests/{digest}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("digest") != i.Digest {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", i.media)
		w.Header().Set("Docker-Content-Digest", i.Digest)
		_, _ = w.Write(i.manifest) // who hung up asks again
	})
	mux.HandleFunc("GET /v2/mai/blobs/{digest}", func(w http.ResponseWriter, r *http.Request) {
		digest, err := v1.NewHash(r.PathValue("digest"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Docker-Content-Digest", digest.String())
		http.ServeFileFS(w, r, os.DirFS(i.folder), path.Join("blobs", digest.Algorithm, digest.Hex))
	})
	return mux
}
