package main

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// entry is one file of the archive.
type entry struct {
	name string
	body []byte
}

// write stores the image in the OCI layout, with the manifest.json that older
// engines look for beside it; both point at the same blobs. A file that is
// there under its name is complete.
func write(img v1.Image, o options) (err error) {
	entries, err := archive(img, o)
	if err != nil {
		return err
	}
	f, err := os.Create(o.out + ".part")
	if err != nil {
		return err
	}
	tw := tar.NewWriter(f)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: 0o644, Size: int64(len(e.body)), ModTime: o.created}
		if err == nil {
			err = tw.WriteHeader(h)
		}
		if err == nil {
			_, err = tw.Write(e.body)
		}
	}
	for _, finish := range []func() error{tw.Close, f.Close} {
		if e := finish(); err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(o.out+".part", o.out)
}

// archive returns the files in the order in which they are stored.
func archive(img v1.Image, o options) ([]entry, error) {
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return nil, err
	}
	configDigest, err := img.ConfigName()
	if err != nil {
		return nil, err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	entries := []entry{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{blob(digest), manifest},
		{blob(configDigest), config},
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	var layerNames []string
	for _, l := range layers {
		e, err := layerEntry(l)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
		layerNames = append(layerNames, e.name)
	}
	index, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex,
		Manifests: references(digest, int64(len(manifest)), o),
	})
	if err != nil {
		return nil, err
	}
	docker, err := json.Marshal([]map[string]any{{"Config": blob(configDigest), "RepoTags": o.tags, "Layers": layerNames}})
	if err != nil {
		return nil, err
	}
	return append(entries, entry{"index.json", index}, entry{"manifest.json", docker}), nil
}

// references names the one manifest by each of its tags, in the words of OCI
// and of containerd.
func references(digest v1.Hash, size int64, o options) []v1.Descriptor {
	var all []v1.Descriptor
	for _, tag := range o.tags {
		all = append(all, v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Digest: digest, Size: size,
			Platform: &v1.Platform{OS: "linux", Architecture: o.arch},
			Annotations: map[string]string{
				"org.opencontainers.image.ref.name": tag[strings.LastIndex(tag, ":")+1:],
				"io.containerd.image.name":          fullName(tag),
			},
		})
	}
	return all
}

// fullName writes out what a short image name such as mai:1 stands for.
func fullName(tag string) string {
	host, _, found := strings.Cut(tag, "/")
	switch {
	case !found:
		return "docker.io/library/" + tag
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		return "docker.io/" + tag
	}
	return tag
}

func layerEntry(l v1.Layer) (entry, error) {
	digest, err := l.Digest()
	if err != nil {
		return entry{}, err
	}
	body, err := l.Compressed()
	if err != nil {
		return entry{}, err
	}
	text, err := io.ReadAll(body)
	if e := body.Close(); err == nil {
		err = e
	}
	return entry{blob(digest), text}, err
}

func blob(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
