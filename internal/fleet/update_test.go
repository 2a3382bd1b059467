package fleet_test

import (
	"net/http"
	"strings"
	"testing"

	"mai/internal/deploy"
	dockersim "mai/internal/deploy/sim"
	"mai/internal/fault"
)

func TestUpdateAndRollback(t *testing.T) {
	healthy := func(string) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	}
	r := newHostRig(t, dockersim.Options{FailStart: "v3", Serve: healthy, Once: func(string, []string) (string, string, int) {
		return `{"from":1,"to":1}`, "", 0
	}})
	c := r.place("Company ABC", "abc.example.com")
	if _, _, err := r.fleet.Rollback(t.Context(), c, false, quiet); !fault.Is(err, fault.Conflict) {
		t.Errorf("back to nothing: %v", err)
	}
	v2 := r.release(deploy.TitleMai, "v2")
	r.settled() // a new release changes nothing by itself
	x, err := r.fleet.Update(t.Context(), c, "", 0, quiet)
	if err != nil || x.To != v2.Digest {
		t.Errorf("%+v, %v", x, err)
	}
	r.runs("mai-companyabc running v2", "mai-companyabc-previous exited v1", "mai-edge running e1")
	r.settled()

	r.release(deploy.TitleMai, "v3")
	_, err = r.fleet.Update(t.Context(), c, "v3", 0, quiet)
	if !fault.Is(err, fault.Upstream) || !strings.Contains(fault.Message(err), "The one before serves again") {
		t.Errorf("a broken image: %v", err)
	}
	r.runs("mai-companyabc running v2", "mai-edge running e1")
	r.settled() // the old one is wanted again

	if _, _, err := r.fleet.Rollback(t.Context(), c, false, quiet); err != nil {
		t.Error(err)
	}
	r.runs("mai-companyabc running v1", "mai-companyabc-previous exited v2", "mai-edge running e1")
	r.settled()
	if _, err := r.fleet.Update(t.Context(), c, "v7", 0, quiet); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown release: %v", err)
	}
}
