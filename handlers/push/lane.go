package push

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/pushcert"
)

// streak is how many pushes of a topic go unanswered, or are answered with a server's error, before the topic
// waits, and is then tried with one push at a time.
const streak = 10

// troubled is how long a topic with a certificate that Apple does not take waits, at first, measured in FirstWait.
const troubled = 60

// A lane is one topic's way to Apple.
type lane struct {
	queue    []channel // to be pushed next; made anew in each round
	busy     int       // goroutines at work
	failures int       // in a row, of whatever kind but a single device's
	pauses   int       // in a row
	until    time.Time // no push before
	trouble  string    // what somebody has to mend; empty if nothing
	cert     string    // fingerprint of the certificate that was in trouble
}

// lane returns the topic's lane. The Notifier is locked.
func (n *Notifier) lane(topic string) *lane {
	l := n.lanes[topic]
	if l == nil {
		l = &lane{}
		n.lanes[topic] = l
	}
	return l
}

// work sets goroutines to work on the lane's queue, and returns when the lane is to be looked at again. The
// Notifier is locked.
func (n *Notifier) work(ctx context.Context, topic string, l *lane, now time.Time) time.Time {
	never := now.Add(longest)
	if len(l.queue) == 0 {
		if l.busy == 0 && !l.until.After(now) && l.trouble == "" {
			delete(n.lanes, topic)
		}
		return never
	}
	cert, why := n.certificate(ctx, topic, now)
	switch {
	case why != "":
		n.block(ctx, topic, l, why, cert.Fingerprint)
		return now.Add(time.Second)
	case l.trouble != "" && l.cert != cert.Fingerprint:
		n.mended(ctx, topic, l)
	case l.until.After(now):
		return l.until
	}
	width := n.Width
	if l.failures >= streak || l.trouble != "" {
		width = 1 // feel the way
	}
	for l.busy < min(width, len(l.queue)) {
		l.busy++
		n.pushes.Go(func() { n.drain(ctx, topic, l) })
	}
	return never
}

// certificate returns the topic's certificate, and why it cannot be used, if so.
func (n *Notifier) certificate(ctx context.Context, topic string, now time.Time) (pushcert.PushCertificate, string) {
	if topic == "" {
		return pushcert.PushCertificate{}, "a device has no topic"
	}
	cert, _, err := n.Certificates.Load(ctx, topic)
	switch {
	case err != nil:
		return cert, "the push certificate could not be read"
	case cert.Topic == "":
		return cert, "there is no push certificate"
	case len(cert.Key) == 0:
		return cert, "the push certificate's key cannot be opened"
	case !now.Before(cert.NotAfter):
		return cert, "the push certificate has expired"
	}
	return cert, ""
}

// block says what is wrong with the topic, once. The Notifier is locked.
func (n *Notifier) block(ctx context.Context, topic string, l *lane, why, cert string) {
	l.queue, l.cert = nil, cert
	if l.trouble == why {
		return
	}
	l.trouble = why
	n.count(topic, "certificate")
	n.Log.ErrorContext(ctx, "devices of a topic are not pushed until somebody mends it", "topic", topic, "reason", why,
		"hint", "store the topic's push certificate, renewed at https://identity.apple.com/pushcert: PUT /v1/pushcert")
}

func (n *Notifier) mended(ctx context.Context, topic string, l *lane) {
	l.trouble, l.cert, l.until, l.failures, l.pauses = "", "", time.Time{}, 0, 0
	n.Log.InfoContext(ctx, "devices of a topic are pushed again", "topic", topic)
}

// drain pushes what is in the lane's queue until it is empty or the lane waits.
func (n *Notifier) drain(ctx context.Context, topic string, l *lane) {
	defer n.stir()
	for {
		key, ok := n.take(ctx, l)
		if !ok {
			return
		}
		n.push(ctx, topic, l, key)
	}
}

// take takes the next channel of the lane's queue; without one, or if the lane has to wait, the goroutine ends.
func (n *Notifier) take(ctx context.Context, l *lane) (channel, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	narrow := l.busy > 1 && (l.failures >= streak || l.trouble != "")
	if ctx.Err() != nil || narrow || l.until.After(n.Now()) || len(l.queue) == 0 {
		l.busy--
		return channel{}, false
	}
	key := l.queue[0]
	l.queue = l.queue[1:]
	n.known[key].busy = true
	return key, true
}

// went tells the lane how a push went. The Notifier is locked.
func (n *Notifier) went(ctx context.Context, topic string, l *lane, cert string, o outcome) {
	now := n.Now()
	switch {
	case o.trouble:
		if current, _ := n.certificate(ctx, topic, now); current.Fingerprint != cert {
			return // it was about a certificate that has been replaced meanwhile
		}
		if l.trouble == "" || !l.until.After(now) {
			n.block(ctx, topic, l, o.text, cert)
			l.until = now.Add(n.wait(l.pauses, troubled))
			l.pauses++
		}
	case o.outage:
		l.failures++
		if l.failures >= streak && !l.until.After(now) {
			l.until = now.Add(max(n.wait(l.pauses, 1), min(o.after, n.LongWait)))
			l.pauses++
			n.Log.WarnContext(ctx, "APNs does not answer as it should: the topic waits", "topic", topic,
				"reason", o.text, "until", l.until)
		}
	case l.failures >= streak || l.trouble != "":
		n.mended(ctx, topic, l)
	default:
		l.failures, l.pauses = 0, 0
	}
}

// wait is how long to wait after so many failures: FirstWait times a factor, doubled each time, and as much again at
// random, so that not all come back at once.
func (n *Notifier) wait(failures, factor int) time.Duration {
	d := n.FirstWait * time.Duration(factor) << min(failures, 16)
	d = min(d, n.LongWait*time.Duration(min(factor, 6)))
	return d/2 + rand.N(d/2+1)
}

// A Topic is how pushing stands for one topic that has something to do, or is in trouble.
type Topic struct {
	Topic    string
	Waiting  int       // channels that could be pushed now
	UnderWay int       // goroutines that push
	Until    time.Time // no push before; zero if there is nothing to wait for
	Trouble  string    // what somebody has to mend; empty if nothing
}

// Topics returns how pushing stands, in no order.
func (n *Notifier) Topics() []Topic {
	n.mu.Lock()
	defer n.mu.Unlock()
	topics := make([]Topic, 0, len(n.lanes))
	for topic, l := range n.lanes {
		topics = append(topics, Topic{topic, len(l.queue), l.busy, l.until, l.trouble})
	}
	return topics
}
