package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/remote"
)

// reached is the server of a client, connected to for as long as the client is worked on.
type reached struct {
	Server
	machine *remote.Machine
	host    *deploy.Host // nil until its Docker engine answered
}

// machine connects to the server on which a client lives, once.
func (f *Fleet) machine(ctx context.Context, w *work) (*remote.Machine, error) {
	if w.at != nil {
		return w.at.machine, nil
	}
	server, err := f.ServerOf(ctx, w.Client)
	if err != nil {
		return nil, err
	}
	login, err := f.Login(ctx, server)
	if err != nil {
		return nil, err
	}
	machine, err := remote.Dial(ctx, remote.Host(login))
	if err == nil {
		w.at = &reached{Server: server, machine: machine}
	}
	return machine, err
}

// host connects to the Docker engine of a client's server, once.
func (f *Fleet) host(ctx context.Context, w *work) (*deploy.Host, error) {
	machine, err := f.machine(ctx, w)
	if err != nil {
		return nil, err
	}
	if w.at.host == nil {
		w.at.host, err = deploy.Attach(ctx, machine, f.at)
	}
	return w.at.host, err
}

// leave closes what was connected to.
func (w *work) leave() (err error) {
	if w.at == nil {
		return nil
	}
	if w.at.host != nil {
		err = w.at.host.Close()
	}
	err = errors.Join(err, w.at.machine.Close())
	w.at = nil
	return err
}

// planDocker sees to a Docker engine on the server.
func (f *Fleet) planDocker(ctx context.Context, w *work) ([]action, error) {
	if _, err := f.machine(ctx, w); err != nil {
		return nil, err
	}
	if _, err := f.host(ctx, w); !fault.Is(err, fault.Unavailable) {
		return nil, err
	}
	return []action{{"install Docker on " + w.at.Name, func(ctx context.Context) error {
		return f.outside(ctx, w, "docker.install", w.at.Name, func() error { return deploy.InstallDocker(ctx, w.at.machine) })
	}}}, nil
}

// planInstance chooses what a new instance runs.
func (f *Fleet) planInstance(ctx context.Context, w *work) ([]action, error) {
	if in, err := f.instanceOf(ctx, w.Client); in.release != "" || err != nil {
		return nil, err
	}
	return []action{{"choose the newest release", func(ctx context.Context) error {
		host, err := f.host(ctx, w)
		if err != nil {
			return err
		}
		arch, err := host.Arch(ctx)
		if err != nil {
			return err
		}
		release, err := f.newest(ctx, deploy.TitleMai, arch, "")
		if err != nil {
			return err
		}
		return f.choose(ctx, w, release)
	}}}, nil
}

// wanted is a client's instance as it is to run.
func (f *Fleet) wanted(ctx context.Context, w *work) (deploy.Instance, error) {
	in, err := f.instanceOf(ctx, w.Client)
	if err == nil && in.release == "" {
		err = fault.New(fault.Conflict, "It is not chosen yet which release %s runs. Run `maictl resume`.", w.Name)
	}
	if err != nil {
		return deploy.Instance{}, err
	}
	img, err := deploy.OpenImage(f.images(), in.release)
	if fault.Is(err, fault.NotFound) {
		img, err = deploy.Absent(in.release), nil // which is fine where the host has it
	}
	if err != nil {
		return deploy.Instance{}, err
	}
	note, err := f.note(ctx, w)
	if err != nil {
		return deploy.Instance{}, err
	}
	_, key, err := f.Secret(ctx, w.Client)
	return deploy.Instance{
		Note: note,
		Name: w.Instance(), Title: title(w.Client), Domain: w.Domain, Markup: w.Markup.String(), BaseURL: f.baseURL, Image: img,
		Secrets: map[string]string{deploy.SecretKey: key, deploy.SecretSetup: in.setup, deploy.SecretToken: in.token},
	}, err
}

// title is what a workspace calls itself.
func title(c Client) string { return "mAI - " + c.Name }

// planFiles sees to all that the client's container needs on the server: its folders, its secrets, its image.
func (f *Fleet) planFiles(ctx context.Context, w *work) (plan []action, err error) {
	host, err := f.host(ctx, w)
	if err != nil {
		return nil, err
	}
	in, err := f.wanted(ctx, w)
	if err != nil {
		return nil, err
	}
	differ, err := host.FilesDiffer(in)
	if err != nil {
		return nil, err
	}
	if len(differ) > 0 {
		what := strings.Join(differ, ", ")
		plan = append(plan, action{"hand over " + what, func(ctx context.Context) error {
			return f.outside(ctx, w, "secrets.write", in.Name+" "+what, func() error { return host.WriteFiles(ctx, in) })
		}})
	}
	there, err := host.HasImage(ctx, in.Image)
	if err != nil {
		return nil, err
	}
	if !there {
		if !in.Image.Here() {
			return nil, fault.New(fault.NotFound, "The image %s is neither on this machine nor on %s. Add it again with `maictl release add`.", in.Image.Short(), w.at.Name)
		}
		plan = append(plan, f.sendImage(w, host, in.Image))
	}
	return plan, nil
}

// planRelease brings the client's container to what is wanted of it.
func (f *Fleet) planRelease(ctx context.Context, w *work) ([]action, error) {
	host, err := f.host(ctx, w)
	if err != nil {
		return nil, err
	}
	in, err := f.wanted(ctx, w)
	if err != nil {
		return nil, err
	}
	state, err := host.State(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	unfinished, err := host.Unfinished(in)
	if err != nil {
		return nil, err
	}
	differs, err := host.Differs(ctx, in, state)
	var what string
	switch {
	case err != nil:
		return nil, err
	case unfinished:
		what = "end the update of " + in.Name + " that broke off"
	case differs == "":
		return nil, nil
	case state.Running:
		what = fmt.Sprintf("update %s to the release %s, as %s", in.Name, in.Image.Short(), differs)
	default:
		what = fmt.Sprintf("start %s with the release %s, as %s", in.Name, in.Image.Short(), differs)
	}
	return []action{{what, func(ctx context.Context) error { return f.bringInstance(ctx, w, host, in, unfinished) }}}, nil
}

// bringInstance has a server run an instance as it is wanted.
func (f *Fleet) bringInstance(ctx context.Context, w *work, host *deploy.Host, in deploy.Instance, unfinished bool) error {
	if unfinished {
		if err := f.outside(ctx, w, "release.mend", in.Name, func() error { return host.Mend(ctx, in) }); err != nil {
			return err
		}
	}
	state, err := host.State(ctx, in.Name)
	if err != nil {
		return err
	}
	differs, err := host.Differs(ctx, in, state)
	switch {
	case err != nil || differs == "":
		return err
	case !state.Running:
		return f.outside(ctx, w, "container.start", in.Name+" "+in.Image.Digest, func() error { return host.Start(ctx, in) })
	}
	return f.outside(ctx, w, "release.update", in.Name+" "+in.Image.Digest, func() (err error) {
		tell := func(what string) { w.tell("release", what) }
		if w.discard {
			w.aside, err = host.Return(ctx, in, tell)
			return err
		}
		w.exchange, err = host.Update(ctx, in, cmp.Or(w.drain, deploy.DrainPatience), tell)
		return err
	})
}

func (f *Fleet) sendImage(w *work, host *deploy.Host, img deploy.Image) action {
	return action{fmt.Sprintf("send %s %s (%s)", img.Title, img.Version, img.Short()), func(ctx context.Context) error {
		return f.outside(ctx, w, "image.send", img.Name()+" "+img.Digest, func() error {
			_, err := host.Preload(ctx, img)
			return err
		})
	}}
}

// planRemoval takes a deleted client's container from a server that it shared. What it wrote stays there until a person
// removes it; a server of its own goes with all that is on it.
func (f *Fleet) planRemoval(ctx context.Context, w *work) ([]action, error) {
	server, err := f.ServerOf(ctx, w.Client)
	if err != nil || server.Own() {
		if fault.Is(err, fault.NotFound) {
			err = nil // that server is gone already
		}
		return nil, err
	}
	host, err := f.host(ctx, w)
	if err != nil {
		return nil, err
	}
	state, err := host.State(ctx, w.Instance())
	if err != nil || !state.Exists {
		return nil, err
	}
	return []action{{"remove the container " + w.Instance() + "; its data stays in /opt/" + w.Instance(), func(ctx context.Context) error {
		return f.outside(ctx, w, "container.remove", w.Instance(), func() error {
			return errors.Join(host.Remove(ctx, w.Instance()), host.ConfigureEdge(ctx, f.tls))
		})
	}}}, nil
}

// planEdge has the edge of the server serve the client.
func (f *Fleet) planEdge(ctx context.Context, w *work) (plan []action, err error) {
	host, err := f.host(ctx, w)
	if err != nil {
		return nil, err
	}
	state, err := host.State(ctx, deploy.EdgeName)
	if err != nil {
		return nil, err
	}
	outdated, err := deploy.EdgeOutdated(state)
	if err != nil {
		return nil, err
	}
	differs := "it is new"
	if !state.Running || outdated {
		if plan, err = f.startEdge(ctx, w, host); err != nil {
			return nil, err
		}
	} else {
		if differs, err = host.EdgeDiffers(ctx, f.tls); err != nil || differs == "" {
			return plan, err
		}
	}
	return append(plan, action{"configure the edge, as " + differs, func(ctx context.Context) error {
		return f.outside(ctx, w, "edge.configure", w.at.Name, func() error { return host.ConfigureEdge(ctx, f.tls) })
	}}), nil
}

// startEdge are the actions that start the newest edge.
func (f *Fleet) startEdge(ctx context.Context, w *work, host *deploy.Host) ([]action, error) {
	arch, err := host.Arch(ctx)
	if err != nil {
		return nil, err
	}
	release, err := f.newest(ctx, deploy.TitleEdge, arch, "")
	if err != nil {
		return nil, err
	}
	img, err := deploy.OpenImage(f.images(), release.Digest)
	if err != nil {
		return nil, err
	}
	return []action{f.sendImage(w, host, img), {"start the edge", func(ctx context.Context) error {
		return f.outside(ctx, w, "edge.start", img.Digest, func() error { return host.StartEdge(ctx, img) })
	}}}, nil
}

// How long a new instance may take to answer: its own start, and outside a certificate.
const (
	insideTime  = time.Minute
	outsideTime = 3 * time.Minute
)

// planHealthy waits until the instance answers, inside its server and as everybody reaches it.
func (f *Fleet) planHealthy(ctx context.Context, w *work) ([]action, error) {
	host, err := f.host(ctx, w)
	if err != nil {
		return nil, err
	}
	inside := func(ctx context.Context) error { return host.Healthy(ctx, w.Instance()) }
	outside := func(ctx context.Context) error { return deploy.Answers(ctx, w.at.Address(), w.Domain, f.tls) }
	var plan []action
	if inside(ctx) != nil {
		plan = append(plan, action{"wait until " + w.Instance() + " is healthy", func(ctx context.Context) error {
			return deploy.Await(ctx, insideTime, inside)
		}})
	}
	if outside(ctx) != nil {
		plan = append(plan, action{"wait until " + w.URL(w.at.Server) + " answers", func(ctx context.Context) error {
			return deploy.Await(ctx, outsideTime, outside)
		}})
	}
	return plan, nil
}

// URL is where a client's people find their workspace, which lives on that server.
func (c Client) URL(s Server) string {
	switch addr := s.Address(); {
	case c.Domain != "":
		return "https://" + c.Domain
	case addr.Is6():
		return "http://[" + addr.String() + "]"
	default:
		return "http://" + addr.String()
	}
}
