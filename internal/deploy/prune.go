package deploy

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// prune removes the images of a program that nothing on the host was made of. What runs stays, and what ran before: its
// container is kept until the next exchange. img has just been sent, and may be of a container that is yet to be made.
func (h *Host) prune(ctx context.Context, img Image) error {
	repository, _, _ := strings.Cut(img.Name(), ":")
	sent := regexp.MustCompile(`:[0-9a-f]{12}$`) // Image.Name: what a person loaded under another name stays
	images, err := h.docker.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", repository)})
	if err != nil {
		return fmt.Errorf("list the images: %w", err)
	}
	for _, one := range images.Items {
		for _, name := range one.RepoTags {
			if name == img.Name() || !sent.MatchString(name) {
				continue
			}
			// Without force, the engine refuses what a container was made of, whether it runs or not.
			_, err := h.docker.ImageRemove(ctx, name, client.ImageRemoveOptions{})
			if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) {
				return fmt.Errorf("remove the image %s: %w", name, err)
			}
		}
	}
	return nil
}
