package projections

import "time"

// installs tells how far a profile or an app has come.
func (s *Standing) installs(uuid string) {
	s.heard()
	same := s.made.state != "" && s.made.removes == 0 && s.made.revision == s.Revision
	if !same || s.made.state == "RETRY" {
		s.State, s.TryAt, s.Attempt, s.Because = StandsWanted, s.made.time(), 0, ""
		return
	}
	switch s.made.state {
	case "ORDERED":
		s.State = StandsOrdered
	case "REFUSED":
		s.State, s.TryAt = StandsFailed, s.Since.Add(time.Hour)
	case "FAILED":
		s.State = StandsFailed
		s.again()
	default:
		s.stands(uuid)
	}
}

// stands tells of a thing whose command was acknowledged.
func (s *Standing) stands(uuid string) {
	s.Because = s.had.because
	switch s.had.state {
	case ManagedVerified:
		s.State, s.Since = StandsVerified, moment(s.had.since)
		if s.had.uuid != "" && uuid != "" && s.had.uuid != uuid { // somebody else's order brought another edition
			s.State, s.Because = StandsMissing, "another edition of it was installed"
			s.again()
		}
	case ManagedFailed:
		s.State = StandsFailed
		s.again()
	case ManagedMissing, ManagedDiffers, ManagedRemoved, ManagedGone, ManagedLeft:
		s.State = StandsMissing
		if moment(s.had.since).Sub(s.OrderedAt) >= settledFor {
			s.Attempt = 0 // it had been there
		}
		s.again()
	default:
		s.State = StandsInstalled
	}
}

// removes tells how far the removal of what nobody wants any more has come; false if nothing is to be done or told.
func (s *Standing) removes() bool {
	s.heard()
	there := holding{state: s.had.state}.present() && s.had.state != ManagedMissing
	switch {
	case s.made.removes == 0 && s.made.state == "ORDERED": // it is on its way
	case !there:
		return false
	}
	s.State = StandsRemoving
	switch {
	case s.made.removes == 0 || s.made.state == "RETRY":
		s.TryAt, s.Attempt = s.made.time(), 0
	case s.made.state == "REFUSED":
		s.TryAt = s.Since.Add(time.Hour)
	case s.made.state == "FAILED", s.made.state == "DONE": // a list told of it all the same
		s.again()
	}
	return true
}

// again tells when a thing is tried again.
func (s *Standing) again() {
	if s.Attempt >= maxAttempts {
		s.Held = true
		return
	}
	s.TryAt = s.OrderedAt.Add(Backoff(s.Attempt))
	if s.Attempt == 0 {
		s.TryAt = s.Since
	}
}

// setup tells when DeviceConfigured may be sent again, if the device should still wait.
func (s *Standing) setup() {
	s.heard()
	switch {
	case s.made.state == "ORDERED":
		s.State = StandsOrdered
	case s.made.state == "" || s.made.state == "RETRY":
		s.State, s.TryAt, s.Attempt = StandsWanted, s.made.time(), 0
	default:
		s.State = StandsFailed
		if s.Attempt >= 2*maxAttempts {
			s.Held = true
			return
		}
		s.TryAt = s.OrderedAt.Add(min(time.Minute<<min(max(s.Attempt-1, 0), 10), 24*time.Hour))
	}
}

// asked tells when an inventory is asked for next: at once on a device that enrolled after it was assigned, else at the
// device's own moments.
func (s *Standing) asked(device string, every time.Duration, assigned, enrolled int64, now time.Time) {
	s.heard()
	switch s.made.state {
	case "ORDERED":
		s.State = StandsOrdered
		return
	case "":
		s.State, s.TryAt = StandsWanted, slot(device, s.Thing, every, moment(assigned))
		if enrolled > assigned {
			s.TryAt = moment(enrolled)
		}
		return
	case "RETRY":
		s.State, s.TryAt = StandsWanted, s.made.time()
		return
	case "DONE":
		s.State = StandsVerified
	default:
		s.State = StandsFailed
	}
	s.TryAt = slot(device, s.Thing, every, s.OrderedAt)
}

// heard fills in what was last heard of the thing.
func (s *Standing) heard() {
	s.Because, s.Attempt, s.OrderedAt, s.Since = s.made.because, int(s.made.attempt), moment(s.made.ordered), s.made.time()
}

func (r reached) time() time.Time { return moment(r.at) }

// Made returns what tells one order for the thing from the next: where it stood before.
func (s Standing) Made() int64 { return s.made.position }

// UnderWay reports whether the command that is due was ordered already.
func (s Standing) UnderWay() bool {
	return s.made.state == "ORDERED" && (s.made.removes != 0) == s.Removes
}

// Acknowledged reports whether the thing was acknowledged, and no list has told since that it is there.
func (s Standing) Acknowledged() bool {
	return s.State == StandsInstalled && s.had.state == ManagedAcknowledged
}
