package sim

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// action is something that takes time.
type action struct {
	resource
	command   string
	resources []target
	status    string // running, success, error
	began     time.Time
	finished  time.Time
	takes     time.Duration
	failure   string
}

// target is what an action is about.
type target struct {
	id   int64
	kind string
}

func (s *Server) showAction(a *action) map[string]any {
	resources := []any{}
	for _, t := range a.resources {
		resources = append(resources, map[string]any{"id": t.id, "type": t.kind})
	}
	shown := map[string]any{"id": a.id, "command": a.command, "status": a.status, "progress": 100, "started": stamp(a.began), "finished": nil,
		"resources": resources, "error": nil}
	switch a.status {
	case "running":
		shown["progress"] = 0
		if a.takes > 0 {
			shown["progress"] = int(min(99, max(0, 100*s.opts.Now().Sub(a.began)/a.takes)))
		}
	case "error":
		shown["error"] = map[string]any{"code": "action_failed", "message": a.failure}
		fallthrough
	default:
		shown["finished"] = stamp(a.finished)
	}
	return shown
}

// job is one action with what it does.
type job struct {
	command string
	do      func(context.Context) error // not under the lock; nil is nothing
	then    func()                      // under the lock, after it went well; nil is nothing
}

// begin starts jobs that follow one another, and shows their actions as they are at that moment: running. A server that
// they are about is locked until the last has ended; the first that fails ends all.
func (s *Server) begin(about []target, on *server, jobs ...job) []map[string]any {
	var actions []*action
	shown := []map[string]any{}
	for _, j := range jobs {
		a := &action{resource: resource{id: s.newID()}, command: j.command, resources: about, status: "running", began: s.opts.Now(), takes: s.actionTime()}
		actions = append(actions, a)
		shown = append(shown, s.showAction(a))
	}
	s.actions = append(s.actions, actions...)
	if on != nil {
		on.locked = true
	}
	fails := s.actionFails(jobs[0].command)
	s.running.Go(func() {
		var failure error
		for i, j := range jobs {
			if failure == nil {
				failure = s.perform(actions[i].takes, j, fails)
			}
			s.finish(actions[i], j, failure)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if on != nil {
			on.locked = false
		}
	})
	return shown
}

// perform takes the time of an action and does it.
func (s *Server) perform(takes time.Duration, j job, fails error) error {
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stop.Done():
		return s.stop.Err()
	}
	if fails != nil || j.do == nil {
		return fails
	}
	return j.do(s.stop)
}

func (s *Server) finish(a *action, j job, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.finished = s.opts.Now()
	if failure != nil {
		a.status, a.failure = "error", failure.Error()
		return
	}
	a.status = "success"
	if j.then != nil {
		j.then()
	}
}

func (s *Server) actionRoutes(api func(string, func(*request) reply)) {
	one := func(r *request) reply {
		if a := find(s.actions, r.id("action")); a != nil {
			return ok(map[string]any{"action": s.showAction(a)})
		}
		return notFound("action", r.PathValue("action"))
	}
	// Without ids /actions is gone since 2025; each kind of resource has its own list.
	api("GET /actions", func(r *request) reply {
		ids := r.URL.Query()["id"]
		if len(ids) == 0 {
			return refuse(http.StatusGone, "deprecated_api_endpoint", "listing all actions is not available any more, give the ids")
		}
		out := s.listActions(r, func(a *action) bool { return slices.Contains(ids, strconv.FormatInt(a.id, 10)) })
		delete(out.body, "meta") // this list alone has no pages
		out.link = ""
		return out
	})
	api("GET /actions/{action}", one)
	for path, kind := range map[string]string{"servers": "server", "firewalls": "firewall", "zones": "zone"} {
		of := func(r *request) reply {
			return s.listActions(r, func(a *action) bool {
				return slices.ContainsFunc(a.resources, func(t target) bool { return t.kind == kind && (r.PathValue("id") == "" || t.id == r.id("id")) })
			})
		}
		api("GET /"+path+"/actions", of)
		api("GET /"+path+"/{id}/actions", of)
		api("GET /"+path+"/{id}/actions/{action}", one)
		// /servers/actions/{action} and /servers/{id}/actions cannot both be patterns: neither is the narrower one.
		api("GET /"+path+"/{id}/{action}", func(r *request) reply {
			if r.PathValue("id") != "actions" {
				return refuse(http.StatusNotFound, "not_found", "api route not found")
			}
			return one(r)
		})
	}
}

// listActions is oldest first, whatever order was asked for: who polls looks at all of them.
func (s *Server) listActions(r *request, of func(*action) bool) reply {
	statuses := r.URL.Query()["status"]
	var picked []*action
	for _, a := range s.actions {
		if of(a) && (len(statuses) == 0 || slices.Contains(statuses, a.status)) {
			picked = append(picked, a)
		}
	}
	shown := make([]map[string]any, len(picked))
	for i, a := range picked {
		shown[i] = s.showAction(a)
	}
	return page(r, "actions", shown)
}
