package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"mai/internal/fault"
)

func TestKindAndMessage(t *testing.T) {
	over := fault.New(fault.OverBudget, "%d left", 3)
	general := fault.Message(io.EOF)
	for name, c := range map[string]struct {
		err     error
		kind    fault.Kind
		message string
	}{
		"plain":           {over, fault.OverBudget, "3 left"},
		"wrapped":         {fmt.Errorf("reserve: %w", over), fault.OverBudget, "3 left"},
		"joined":          {errors.Join(nil, over), fault.OverBudget, "3 left"},
		"outermost wins":  {fault.Wrap(fault.Unavailable, over, "Later."), fault.Unavailable, "Later."},
		"not a fault":     {io.EOF, fault.Internal, general},
		"wrapped no more": {fmt.Errorf("read: %w", io.EOF), fault.Internal, general},
	} {
		if kind := fault.KindOf(c.err); kind != c.kind {
			t.Errorf("%s: kind %s, want %s", name, kind, c.kind)
		}
		if !fault.Is(c.err, c.kind) || fault.Is(c.err, fault.Conflict) {
			t.Errorf("%s: Is does not agree with KindOf", name)
		}
		if message := fault.Message(c.err); message != c.message {
			t.Errorf("%s: message %q, want %q", name, message, c.message)
		}
	}
	if fault.Is(nil, fault.Internal) {
		t.Error("no error is a fault")
	}
}

// TestCauseIsForTheLogOnly keeps what broke inside away from the person.
func TestCauseIsForTheLogOnly(t *testing.T) {
	err := fault.Wrap(fault.Unavailable, io.ErrClosedPipe, "Try again.")
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Error("the cause is lost")
	}
	if !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
		t.Errorf("the log does not see the cause: %s", err.Error())
	}
	if fault.Message(err) != "Try again." {
		t.Errorf("the person sees %q", fault.Message(err))
	}
	if err := fault.New(fault.Invalid, "No."); err.Error() != "No." || err.Unwrap() != nil {
		t.Errorf("without a cause: %s, %v", err.Error(), err.Unwrap())
	}
}

// TestToAdmin replaces the sentence where there is one for admins, and nothing else.
func TestToAdmin(t *testing.T) {
	two := fault.Wrap(fault.UpstreamKey, io.EOF, "Tell your admin.").ForAdmin("Save a key.")
	if got := fault.ToAdmin(fmt.Errorf("send: %w", two)); fault.Message(got) != "Save a key." || fault.KindOf(got) != fault.UpstreamKey || !errors.Is(got, io.EOF) {
		t.Errorf("an admin is told %v", got)
	}
	if fault.Message(two) != "Tell your admin." {
		t.Errorf("a user is told %s", fault.Message(two))
	}
	for _, err := range []error{nil, io.EOF, fault.New(fault.Invalid, "No.")} {
		if got := fault.ToAdmin(err); !errors.Is(got, err) || fault.Message(got) != fault.Message(err) {
			t.Errorf("%v became %v", err, got)
		}
	}
}
