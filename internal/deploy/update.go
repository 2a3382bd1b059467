package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"mai/internal/fault"
)

// DrainPatience is how long answers that are being written usually have to end.
const DrainPatience = time.Minute

// How long the parts of an exchange may take.
const (
	rehearsalPatience = 10 * time.Minute // for the migration of a copy

	quietPatience = 3 * time.Second  // for requests that are no paid call, once all are held
	stopPatience  = 15 * time.Second // for a process that has nothing more to do
	startPatience = 30 * time.Second // for the new one to answer
)

// Exchange is what came of one release taking another's place.
type Exchange struct {
	From, To string // digests
	// Cut counts paid calls that had not ended in time: their text so far is kept, their cost is asked for later.
	Cut int
	// Schema is set when the database was migrated: from and to.
	Schema [2]int64
	// Waited counts the requests that waited at the edge, the longest for Queued; of that, Held is how long nothing at all
	// was let through.
	Waited       int
	Queued, Held time.Duration
}

// marker is what lies on the host while an exchange is under way, for whoever finds it broken off.
type marker struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Migrates bool   `json:"migrates"`
	Kept     bool   `json:"kept"`  // the data from before are kept; whatever lies there earlier is of an earlier exchange
	Aside    string `json:"aside"` // where a rollback puts the data of since; "" when they stay
}

// The names of what an exchange leaves on a host: the container before, and its data if they were migrated since.
func previousName(name string) string { return name + "-previous" }
func nextName(name string) string     { return name + "-next" }
func (i Instance) markerFile() string { return i.Folder() + "/update.json" }
func (i Instance) dataFolder() string { return i.Folder() + "/data" }
func (i Instance) keptFolder() string { return i.Folder() + "/data-before" }

// Update exchanges the running container of an instance for one that is as wanted, of another release or with other
// settings: without losing a request, an answer or a row. Paid calls wait at the edge while those that run end, as long
// as drain says; all else goes on. Then everything waits for the second or two in which one process stops and the other starts.
// When the new one does not come up, the old one serves again, with the data as they were. Its image and secrets must be
// there. tell is given what happens.
func (h *Host) Update(ctx context.Context, in Instance, drain time.Duration, tell func(string)) (x Exchange, err error) {
	return h.exchange(ctx, in, drain, "", tell)
}

// Return puts the release back that ran before the last migration, with the data from before it. What was written since is
// put aside on the host, in a folder whose name it returns.
func (h *Host) Return(ctx context.Context, in Instance, tell func(string)) (aside string, err error) {
	if err := h.needKept(in); err != nil {
		return "", err
	}
	aside = in.dataFolder() + "-discarded-" + time.Now().UTC().Format("20060102T150405Z")
	_, err = h.exchange(ctx, in, DrainPatience, aside, tell)
	return aside, err
}

// needKept refuses when the data from before the last migration are not there.
func (h *Host) needKept(in Instance) error {
	kept, err := h.there(in.keptFolder())
	if err == nil && !kept {
		err = fault.New(fault.Conflict, "The data from before the last migration of %s are not on the host any more. Restore a backup from before it.", in.Name)
	}
	return err
}

// exchange lets another container serve. With aside, it gets the data from before the last migration, and those that are
// there are put aside in that folder.
func (h *Host) exchange(ctx context.Context, in Instance, drain time.Duration, aside string, tell func(string)) (x Exchange, err error) {
	old, err := h.State(ctx, in.Name)
	if err != nil {
		return x, err
	}
	x.From, x.To = old.Release, in.Image.Digest
	if aside == "" {
		tell("try the migration on a copy")
		if x.Schema, err = h.rehearse(ctx, in); err != nil {
			return x, err
		}
	}
	subnet, err := h.subnet(ctx, in.Name)
	if err != nil {
		return x, err
	}
	next := in.spec(subnet)
	for _, name := range []string{nextName(in.Name), previousName(in.Name)} {
		if err := h.remove(ctx, name); err != nil {
			return x, err
		}
	}
	next.name = nextName(in.Name)
	if err := next.create(ctx, h); err != nil {
		return x, err
	}
	h.at("exchange.created")
	m := marker{From: old.Release, To: in.Image.Digest, Migrates: x.Schema[0] != x.Schema[1], Aside: aside}
	tell("let running answers end")
	if x.Cut, err = h.quiet(ctx, in, m, drain); err != nil {
		return x, errors.Join(err, h.undo(ctx, in), h.unmark(in))
	}
	tell("exchange")
	if err := h.swap(ctx, in, &m); err != nil {
		tell("put the old release back")
		return x, errors.Join(fault.Wrap(fault.Upstream, err, "The release %s did not come up on %s: %s The one before serves again.", in.Image.Short(), in.Name, words(err)),
			h.putBack(ctx, in, m))
	}
	x.Waited, x.Queued, x.Held, err = h.open(ctx, in.Name)
	h.at("exchange.opened")
	next.name = in.Name
	return x, errors.Join(err, h.unmark(in), h.writeCompose(ctx, in.Folder(), next), h.prune(ctx, in.Image))
}

// mark leaves word on the host that an exchange is under way.
func (h *Host) mark(ctx context.Context, in Instance, m marker) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return h.machine.WriteFile(ctx, in.markerFile(), text, 0o600, owner())
}

// unmark says that nothing is under way any more.
func (h *Host) unmark(in Instance) error {
	if err := h.machine.Remove(in.markerFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// quiet has paid calls wait at the edge and those that run end, and then everything wait. It returns how many calls will
// be cut.
func (h *Host) quiet(ctx context.Context, in Instance, m marker, drain time.Duration) (cut int, err error) {
	if err := h.mark(ctx, in, m); err != nil {
		return 0, err
	}
	h.at("exchange.marked")
	if err := h.hold(ctx, in.Name, "paid"); err != nil {
		return 0, err
	}
	h.at("exchange.paid-held")
	if cut, err = h.drain(ctx, in, drain.String()); err != nil {
		return 0, err
	}
	h.at("exchange.drained")
	if err := h.hold(ctx, in.Name, "all"); err != nil {
		return 0, err
	}
	h.at("exchange.all-held")
	// Who still reads after that is cut off and comes back.
	_ = await(ctx, quietPatience, heldPause, func(ctx context.Context) error {
		seen, err := h.gate(ctx, http.MethodGet, in.Name, "")
		if err == nil && seen.Open > 0 {
			err = fmt.Errorf("%d requests are open", seen.Open)
		}
		return err
	})
	return cut, ctx.Err()
}

// swap stops one container and starts the other. Everything is held.
func (h *Host) swap(ctx context.Context, in Instance, m *marker) error {
	if err := h.stop(ctx, in.Name); err != nil {
		return err
	}
	h.at("exchange.stopped")
	if err := h.rename(ctx, in.Name, previousName(in.Name)); err != nil {
		return err
	}
	h.at("exchange.renamed")
	switch {
	case m.Aside != "":
		if err := h.exchangeData(in, m.Aside); err != nil {
			return err
		}
	case m.Migrates:
		if err := h.keepData(ctx, in); err != nil {
			return err
		}
		h.at("exchange.kept")
		m.Kept = true
		if err := h.mark(ctx, in, *m); err != nil {
			return err
		}
	}
	h.at("exchange.data")
	if err := h.rename(ctx, nextName(in.Name), in.Name); err != nil {
		return err
	}
	h.at("exchange.next-renamed")
	if err := h.start(ctx, in.Name); err != nil {
		return err
	}
	h.at("exchange.started")
	err := h.comesUp(ctx, in.Name)
	h.at("exchange.up")
	return err
}

// comesUp waits until a container that was started is healthy, or has ended.
func (h *Host) comesUp(ctx context.Context, name string) error {
	ended := false
	err := await(ctx, startPatience, heldPause, func(ctx context.Context) error {
		s, err := h.State(ctx, name)
		if ended = err == nil && (s.Status == "exited" || s.Restarts > 0); ended {
			return nil
		}
		return h.Healthy(ctx, name)
	})
	if !ended {
		return err
	}
	var out, said bytes.Buffer
	if err := h.logs(ctx, name, LogOptions{Tail: 3}, &out, &said); err != nil {
		return err
	}
	return fault.New(fault.Unavailable, "It ended as soon as it was started. Its last words: %s", strings.TrimSpace(said.String()+out.String()))
}

// keepData copies the data of an instance that does not run. A copy under its name is complete.
func (h *Host) keepData(ctx context.Context, in Instance) error {
	part := in.keptFolder() + ".part"
	for _, argv := range [][]string{
		{"rm", "-rf", "--", part, in.keptFolder()},
		{"cp", "--archive", "--reflink=auto", "--", in.dataFolder(), part},
		{"sync", "-f", part},
	} {
		if _, err := h.machine.Run(ctx, argv...); err != nil {
			return fault.Wrap(fault.Upstream, err, "The data of %s could not be copied before the migration: %s.", in.Name, failure(err))
		}
	}
	return h.machine.Rename(part, in.keptFolder())
}

// exchangeData puts the kept data in place of those that are there, which are put aside.
func (h *Host) exchangeData(in Instance, aside string) error {
	if err := h.machine.Rename(in.dataFolder(), aside); err != nil {
		return err
	}
	h.at("exchange.aside")
	return h.machine.Rename(in.keptFolder(), in.dataFolder())
}

// putBack has the old container serve again after an exchange that failed.
func (h *Host) putBack(ctx context.Context, in Instance, m marker) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute) // whatever became of who asked
	defer cancel()
	previous, err := h.State(ctx, previousName(in.Name))
	if err != nil {
		return err
	}
	if !previous.Exists { // it was not stopped for good yet
		if err := h.start(ctx, in.Name); err != nil {
			return err
		}
		return errors.Join(h.undo(ctx, in), h.unmark(in))
	}
	if err := errors.Join(h.remove(ctx, in.Name), h.remove(ctx, nextName(in.Name))); err != nil {
		return err
	}
	if err := h.dataBack(ctx, in, m); err != nil {
		return err
	}
	if err := h.rename(ctx, previousName(in.Name), in.Name); err != nil {
		return err
	}
	if err := h.start(ctx, in.Name); err != nil {
		return err
	}
	if err := Await(ctx, startPatience, func(ctx context.Context) error { return h.Healthy(ctx, in.Name) }); err != nil {
		return err
	}
	_, _, _, err = h.open(ctx, in.Name)
	return errors.Join(err, h.unmark(in))
}

// dataBack undoes what an exchange did to the data. It may be killed at any point and called again.
func (h *Host) dataBack(ctx context.Context, in Instance, m marker) error {
	switch {
	case m.Aside != "":
		aside, err := h.there(m.Aside)
		if err != nil || !aside {
			return err // nothing was put aside
		}
		kept, err := h.there(in.keptFolder())
		if err == nil && !kept { // they were exchanged: once more, the other way
			err = h.machine.Rename(in.dataFolder(), in.keptFolder())
		}
		if err != nil {
			return err
		}
		return h.machine.Rename(m.Aside, in.dataFolder())
	case m.Migrates && m.Kept:
		kept, err := h.there(in.keptFolder())
		if err != nil || !kept {
			return err // they are back already
		}
		if _, err := h.machine.Run(ctx, "rm", "-rf", "--", in.dataFolder()); err != nil {
			return fmt.Errorf("remove the migrated data: %w", err)
		}
		return h.machine.Rename(in.keptFolder(), in.dataFolder())
	}
	return nil
}

// undo lets requests through again and takes the container away that was not needed.
func (h *Host) undo(ctx context.Context, in Instance) error {
	ctx = context.WithoutCancel(ctx)
	_, drainErr := h.drain(ctx, in, "off")
	_, _, _, openErr := h.open(ctx, in.Name)
	return errors.Join(drainErr, openErr, h.remove(ctx, nextName(in.Name)))
}

// Unfinished reports whether an exchange of an instance broke off.
func (h *Host) Unfinished(in Instance) (bool, error) {
	return h.there(in.markerFile())
}

// Mend brings an exchange that broke off to an end: with the new release if it serves already, else with the old one.
func (h *Host) Mend(ctx context.Context, in Instance) error {
	text, err := h.machine.ReadFile(in.markerFile())
	if err != nil {
		return err
	}
	var m marker
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s on the host: %w", in.markerFile(), err)
	}
	state, err := h.State(ctx, in.Name)
	if err != nil {
		return err
	}
	if state.Running && (state.Release != m.From || m.From == m.To) {
		if Await(ctx, startPatience, func(ctx context.Context) error { return h.Healthy(ctx, in.Name) }) == nil {
			_, _, _, err := h.open(ctx, in.Name)
			return errors.Join(err, h.unmark(in))
		}
		if seen, err := h.gate(ctx, http.MethodGet, in.Name, ""); m.Migrates && (err != nil || seen.Hold != "all") {
			return fault.Wrap(fault.Conflict, err, "The update of %s broke off after its database was migrated, and people may have worked with it since. Look at `maictl client logs %s`; to go back to the data from before, say `maictl client rollback --discard-since`.", in.Name, in.Name)
		}
	}
	return h.putBack(ctx, in, m)
}

func (h *Host) stop(ctx context.Context, name string) error {
	seconds := int(stopPatience / time.Second)
	if _, err := h.docker.ContainerStop(ctx, name, client.ContainerStopOptions{Timeout: &seconds}); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return nil
}

func (h *Host) rename(ctx context.Context, from, to string) error {
	if _, err := h.docker.ContainerRename(ctx, from, client.ContainerRenameOptions{NewName: to}); err != nil {
		return fmt.Errorf("rename %s to %s: %w", from, to, err)
	}
	return nil
}

// rehearse has the new image migrate a copy of the data, and says from which schema to which.
func (h *Host) rehearse(ctx context.Context, in Instance) (schema [2]int64, err error) {
	limit, cancel := context.WithTimeout(ctx, rehearsalPatience)
	defer cancel()
	out, err := h.once(limit, in, nil, "migrate", "--check", "--json")
	var found struct{ From, To int64 }
	if err == nil {
		if err = json.Unmarshal(out, &found); err != nil {
			err = fault.Wrap(fault.Upstream, err, "What it says of the migration is not understood; is it an image of mAI?")
		}
	}
	if errors.Is(limit.Err(), context.DeadlineExceeded) {
		err = fault.Wrap(fault.Upstream, err, "It took longer than %s.", rehearsalPatience)
	}
	if err != nil {
		return schema, fault.Wrap(fault.Conflict, err, "The release %s cannot take over the data of %s, so nothing was changed: %s", in.Image.Short(), in.Name, words(err))
	}
	return [2]int64{found.From, found.To}, nil
}

// words are what an error says to the provider, who may see what an engine says.
func words(err error) string {
	if _, told := errors.AsType[*fault.Error](err); told {
		return fault.Message(err)
	}
	return err.Error()
}

// socket is where commands reach the running instance.
func (i Instance) socket() string { return path.Join(i.dataFolder(), "mai.sock") }
