package sim

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/moby/moby/api/types/container"
)

// execution is a command in a running container.
type execution struct {
	command []string
	status  int
}

// prepare takes a command that is to be run. The caller has the lock.
func (e *Engine) prepare(r *http.Request) (any, error) {
	var asked container.ExecCreateRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return nil, err
	}
	id := fmt.Sprintf("exec%d", len(e.execs)+1)
	e.execs[id] = &execution{command: asked.Cmd}
	return map[string]string{"Id": id}, nil
}

// execute runs a command. As the real engine does, it takes over the connection and ends it with the command.
func (e *Engine) execute(w http.ResponseWriter, id string) {
	e.mu.Lock()
	run := e.execs[id]
	e.mu.Unlock()
	if run == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	stdout, stderr, status := e.opts.Exec(run.command)
	e.mu.Lock()
	run.status = status
	e.mu.Unlock()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	// Who hung up does not care.
	_, _ = buffered.WriteString("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	_, _ = buffered.Write(append(frame(1, stdout), frame(2, stderr)...))
	_, _ = buffered.Flush(), conn.Close()
}

// executed tells how a command ended. The caller has the lock.
func (e *Engine) executed(id string) (any, error) {
	run := e.execs[id]
	if run == nil {
		return nil, missing("exec instance: " + id)
	}
	return map[string]any{"ID": id, "ExitCode": run.status}, nil
}

// answerCommand answers the commands by which a deployment is tested, as an instance does that stands the test.
func answerCommand(command []string) (stdout, stderr string, status int) {
	switch {
	case len(command) > 1 && command[1] == "accept":
		return `{"kind":"acceptance","state":"settled","model":"cheap/model","cost":"0.000001","charge":"0","at":"2026-11-25T10:00:00Z"}`, "", 0
	case len(command) > 1 && command[1] == "backup":
		return `{"archive":"mai-20261125T100000.000Z.tar.zst"}`, "", 0
	}
	return "", "mai: unknown command", 1
}
