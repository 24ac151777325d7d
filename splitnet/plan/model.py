"""What one request takes. Pure functions; times in seconds, sizes in bytes, rates in bits a second.

latency = edge + encode + uplink + RTT + slow start + losses + queue + decode + cloud + downlink (+ a measured
overhead). The functions are for one request on an otherwise idle link; docs/plan.md says where that is not so.
"""

from __future__ import annotations

from math import ceil, inf, sqrt

MSS = 1448
"""Payload of a full TCP segment: 1,500 bytes of an Ethernet packet less IPv4's 20 and TCP's 32 with timestamps."""
PACKET_HEADERS = 52
"""IPv4 and TCP with timestamps, for each segment. Frames of the layer below are not counted."""
HTTP2_FRAME = 16_384
"""Largest DATA frame that HTTP/2 peers send unless told otherwise (RFC 9113, section 4.2)."""
HTTP2_HEADER = 9
GRPC_PREFIX = 5
"""Compression flag and length before each message of a stream (gRPC over HTTP/2)."""
REQUEST_FIELDS = 125
"""What a message of `InferStream` holds beside its frame: model (20 bytes for `efficientnet-lite0`), fingerprint (34),
cut (8), two tasks (27), request id (18), tag and length of the frame (3); around it id (3), time limit (9), length (3).
"""
ANSWER_FIELDS = 66
"""Beside the results in an answer of `InferStream`: its times (60 bytes), id and length (6)."""
INITIAL_WINDOW = 10 * MSS
"""What TCP sends at once before it hears anything back (RFC 6928)."""
LEAST_TIMEOUT = 0.2
"""Seconds beyond the round trip after which Linux takes a packet for lost, where round trips do not vary (TCP_RTO_MIN).
"""
MATHIS_C = sqrt(3 / 2)
"""The constant of Mathis et al. for random losses with an acknowledgement for every packet."""


def stream_bytes(message: float) -> float:
    """Bytes that TCP carries for one gRPC message of `message` bytes on an open stream."""
    body = message + GRPC_PREFIX
    return body + HTTP2_HEADER * ceil(body / HTTP2_FRAME)


def packets(payload: float) -> int:
    """Full TCP segments, the last one perhaps shorter, for `payload` bytes."""
    return ceil(payload / MSS)


def wire_bytes(payload: float) -> float:
    """Bytes on the wire for `payload` bytes of a TCP stream, with the headers of every packet."""
    return payload + PACKET_HEADERS * packets(payload)


def mathis_rate(rtt: float, loss: float) -> float:
    """Most bits a second that one TCP connection reaches at a loss rate: MSS / RTT * C / sqrt(p); infinite without.

    M. Mathis et al., *The macroscopic behavior of the TCP congestion avoidance algorithm*, 1997, equation 3.
    """
    return 8 * MSS / rtt * MATHIS_C / sqrt(loss) if rtt > 0 and loss > 0 else inf


def transmission(payload: float, bandwidth: float, rtt: float = 0.0, loss: float = 0.0) -> float:
    """Seconds to put `payload` bytes of a TCP stream on a link of `bandwidth` bits a second, headers included.

    With losses every packet is sent 1 / (1 - p) times on average, and what lies beyond the initial window flows no
    faster than `mathis_rate`.
    """
    size, first = wire_bytes(payload), wire_bytes(min(payload, INITIAL_WINDOW))
    steady = min(bandwidth, mathis_rate(rtt, loss))
    return 8 * (first / bandwidth + (size - first) / steady) / (1 - loss)


def window_after(payload: float, rtt: float, idle: float) -> float:
    """Bytes that TCP sends at once after `idle` seconds without sending, on a stream of messages of `payload` bytes.

    While messages follow each other the window is large enough for one. A pause longer than the time-out for
    retransmissions (RFC 5681, section 4.1) makes it smaller; Linux halves it for each such time (tcp_cwnd_restart), to
    `INITIAL_WINDOW` at least.
    """
    timeout = rtt + LEAST_TIMEOUT
    if idle <= timeout:
        return max(payload, INITIAL_WINDOW)
    return max(payload / 2 ** (min(idle / timeout, 64.0) // 1), INITIAL_WINDOW)


def slow_start(payload: float, bandwidth: float, rtt: float, loss: float = 0.0, idle: float = inf) -> float:
    """Seconds in which the link is idle because the sender's window is full: it doubles with every round trip.

    From `window_after` on. Of it that counts which `mathis_rate` does not take anyway.
    """
    window, sent, waiting = window_after(payload, rtt, idle), 0.0, 0.0
    while sent + window < payload:
        idle = rtt - 8 * wire_bytes(window) / bandwidth
        if idle <= 0:
            break
        sent, window, waiting = sent + window, 2 * window, waiting + idle
    beyond = wire_bytes(payload) - wire_bytes(min(payload, INITIAL_WINDOW))
    return max(0.0, waiting - 8 * beyond * (1 / min(bandwidth, mathis_rate(rtt, loss)) - 1 / bandwidth))


def retransmission(payload: float, rtt: float, loss: float) -> float:
    """Seconds of waiting for packets to be sent again, to first order: n p / (1 - p) of them, one RTT each.

    A lower bound for short messages, whose last packet is missed by a timer only, and too much where several losses
    share one RTT.
    """
    return packets(payload) * loss / (1 - loss) * rtt


def queue_wait(service: float, load: float) -> float:
    """Mean seconds in line of an M/D/1 queue: rho S / (2 (1 - rho)), rho the load and S the service time.

    L. Kleinrock, *Queueing Systems*, volume 1, 1975, chapter 5 (Pollaczek-Khinchin with a constant service time).
    """
    return load * service / (2 * (1 - load))
