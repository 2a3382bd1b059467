package fleet_test

import (
	"strings"
	"testing"

	dockersim "mai/internal/deploy/sim"
	"mai/internal/fault"
	"mai/internal/fleet"
)

func TestHandover(t *testing.T) {
	r := newHostRig(t, dockersim.Options{})
	c := r.place("Company ABC", "abc.example.com")
	h, err := r.fleet.Handover(t.Context(), c)
	if err != nil || h.Address != "https://abc.example.com" || !h.Encrypted {
		t.Errorf("%+v, %v", h, err)
	}
	token, ok := strings.CutPrefix(h.SetupLink, h.Address+"/setup?setup=")
	if !ok || len(token) < 20 || token != r.read("opt/mai-companyabc/secrets/setup-token") {
		t.Errorf("the link is %s", h.SetupLink)
	}
	only, err := r.fleet.Create(t.Context(), fleet.NewClient{Name: "Key only", Markup: fleet.DefaultMarkup}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.fleet.Handover(t.Context(), only); !fault.Is(err, fault.NotFound) {
		t.Errorf("without an instance: %v", err)
	}
}
