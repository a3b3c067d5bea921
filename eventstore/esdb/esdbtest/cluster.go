package esdbtest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
)

// A cluster is the servers that know of each other. The first is the leader, until another is told to lead.
type cluster struct {
	mu      sync.Mutex
	members []*Server
	leads   *Server
}

func (c *cluster) join(s *Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, s)
	if c.leads == nil {
		c.leads = s
	}
}

func (c *cluster) leave(s *Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = slices.DeleteFunc(c.members, func(m *Server) bool { return m == s })
}

func (c *cluster) leader() *Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leads
}

// Lead makes this server the leader of its cluster, as an election would.
func (s *Server) Lead() {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.cluster.leads = s
}

// gossip tells who is in the cluster, and who leads.
func (c *cluster) gossip() *gossip.ClusterInfo {
	c.mu.Lock()
	members, leads := slices.Clone(c.members), c.leads
	c.mu.Unlock()
	info := new(gossip.ClusterInfo)
	for i, m := range members {
		host, port, _ := net.SplitHostPort(m.Addr())
		number, _ := strconv.Atoi(port)
		state := gossip.MemberInfo_Follower
		if m == leads {
			state = gossip.MemberInfo_Leader
		}
		info.Members = append(info.Members, &gossip.MemberInfo{
			InstanceId: &shared.UUID{Value: &shared.UUID_String_{String_: fmt.Sprintf("00000000-0000-4000-8000-%012d", i)}},
			State:      state, IsAlive: m.alive(),
			HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(number)},
		})
	}
	return info
}

func (s *Server) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grpc != nil
}

// gossiper answers gossip; its Read has the same name as the streams' Read.
type gossiper struct {
	gossip.UnimplementedGossipServer
	server *Server
}

// Read tells who is in the cluster, and who leads.
func (g gossiper) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	if _, err := g.server.meet(ctx, "Gossip"); err != nil {
		return nil, err
	}
	return g.server.cluster.gossip(), nil
}
