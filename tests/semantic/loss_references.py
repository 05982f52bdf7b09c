"""The losses once more, from their formulas: float64 NumPy, slow and plain, sharing no code with the suite."""

import numpy as np


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def true_probability(logits, label, ignore=255):
    """[N, H, W]; 1 where ignored."""
    probability = softmax(logits.astype(np.float64))
    result = np.ones(label.shape)
    for n, y, x in np.argwhere(label != ignore):
        result[n, y, x] = probability[n, label[n, y, x], y, x]
    return result


def cross_entropy(logits, label, weight=None, ignore=255, avg_non_ignore=True):
    loss = -np.log(true_probability(logits, label, ignore))
    valid = label != ignore
    mass = valid.astype(float)
    if weight is not None:
        mass[valid] = np.asarray(weight)[label[valid]]
    divisor = mass.sum() if avg_non_ignore else label.size
    return (loss * mass).sum() / divisor


def ohem(logits, label, thresh, min_kept, weight=None, ignore=255):
    valid = label != ignore
    probability = true_probability(logits, label, ignore)
    kept = valid.copy()
    if valid.sum() > min_kept > 0:
        smallest = np.sort(np.where(valid, probability, 2.0).ravel())[min_kept - 1]
        kept &= probability < max(smallest, thresh)
    loss = -np.log(probability)
    if weight is not None:
        loss[valid] *= np.asarray(weight)[label[valid]]
    return (loss * kept).mean() / (kept.mean() + 1e-5)


def dice(logits, label, smooth=1.0, weight=None, ignore=255):
    probability = softmax(logits.astype(np.float64))
    classes = logits.shape[1]
    losses = []
    for n in range(len(label)):
        for k in range(classes):
            valid = label[n] != ignore
            p, t = probability[n, k][valid], label[n][valid] == k
            value = 1 - (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth)
            losses.append(value * (1 if weight is None else weight[k]))
    return np.mean(losses)


def lovasz(logits, label, chosen=None, ignore=255):
    """Sum over the sorted errors of error times growth of the Jaccard loss of the set of the errors so far."""
    probability = softmax(logits.astype(np.float64)).transpose(1, 0, 2, 3)
    valid = label != ignore
    losses = []
    for k in range(logits.shape[1]) if chosen is None else chosen:
        t = (label == k)[valid]
        if chosen is None and not t.any():
            continue
        errors = np.abs(t - probability[k][valid])
        total, before = 0.0, 0.0
        wrong = np.zeros(t.shape, bool)
        for pixel in np.argsort(-errors, kind="stable"):
            wrong[pixel] = True
            # mistakes: missed true pixels and false ones; the Jaccard loss of this set of mistakes
            now = wrong.sum() / (t | wrong).sum()
            total += errors[pixel] * (now - before)
            before = now
        losses.append(total)
    return np.mean(losses)


def multi_class_focal(logits, label, alpha, gamma, ignore=255):
    probability = true_probability(logits, label, ignore)
    valid = label != ignore
    factor = np.full(label.shape, 1.0)
    factor[valid] = np.broadcast_to(alpha, (logits.shape[1],))[label[valid]]
    return (factor * (1 - probability) ** gamma * -np.log(probability))[valid].sum() / valid.sum()


def sigmoid_focal(logits, label, alpha, gamma, ignore=255):
    total, count = 0.0, 0
    for n, y, x in np.argwhere(label != ignore):
        for k in range(logits.shape[1]):
            q = 1 / (1 + np.exp(-float(logits[n, k, y, x])))
            a = alpha
            if k != label[n, y, x]:
                q, a = 1 - q, 1 - alpha
            total -= a * (1 - q) ** gamma * np.log(q)
            count += 1
    return total / count


def edges(label, radius, ignore=255):
    result = np.zeros(label.shape, bool)
    for n, y, x in np.argwhere(label != ignore):
        window = label[n, max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        window = window[window != ignore]
        result[n, y, x] = (window != label[n, y, x]).any()
    return result


def edge_aware(logits, label, edge_weight, inner_weight, radius, weight=None, ignore=255):
    mass = np.where(edges(label, radius, ignore), edge_weight, inner_weight) * (label != ignore)
    if weight is not None:
        mass[label != ignore] *= np.asarray(weight)[label[label != ignore]]
    return (mass * -np.log(true_probability(logits, label, ignore))).sum() / mass.sum()
