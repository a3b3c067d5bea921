package handlers

import (
	"testing"
	"time"
)

// What another server has written is waited for before a device is told what it is to have.
func TestASetIsNotToldBeforeTheViewsKnowWhatOtherServersWrote(t *testing.T) {
	l := newLostDevice(t)
	l.tells()
	declared := &Declarations{Views: l.forgetter.Views, Log: l.log}
	told := make(chan error, 1)
	go func() {
		_, _, err := declared.Set(t.Context(), lostStream.ID, "")
		told <- err
	}()
	select {
	case err := <-told:
		t.Fatalf("it was told at once (%v)", err)
	case <-time.After(20 * time.Millisecond):
	}
	l.ok(l.forgetter.Views.CatchUp(t.Context(), l.log, l.codec.Views(), nil))
	l.ok(<-told)
}
