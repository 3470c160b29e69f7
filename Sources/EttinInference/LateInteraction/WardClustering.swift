/// Ward's hierarchical clustering, cut into clusters that are those of scipy's `linkage` and `fcluster`, in their order.
///
/// Nearest neighbours are followed until two are each other's, which finds the same tree as joining the nearest pair each
/// time, in O(n²).
///
/// > Source: Müllner, arXiv 1109.2378, section 3.1 (nearest-neighbour chains); the numbers of clusters are those of
/// > scipy's walk of the tree, which callers see as the order of results.
struct WardClustering {
    /// Two nodes that become one: points from 0, then the merges from the number of points on.
    private struct Merge {
        var left: Int
        var right: Int
        let distance: Double
    }

    private let count: Int
    private let merges: [Merge]

    /// Builds the tree of some points.
    ///
    /// - Parameters:
    ///   - count: The number of points, at least 1.
    ///   - distances: The distances of each point to those after it, end to end, all of them finite.
    init(count: Int, distances: [Double]) {
        precondition(distances.count == count * (count - 1) / 2, "\(distances.count) distances of \(count) points")
        self.count = count
        merges = Self.labelled(Self.chained(count, distances), count)
    }

    /// The cluster of each point, from 0 on.
    ///
    /// - Parameter limit: The greatest number of clusters, at least 1; there are fewer where distances are equal.
    func clusters(atMost limit: Int) -> [Int] {
        guard limit < count else { return Array(0..<count) }
        let threshold = merges[count - limit - 1].distance
        var labels = [Int](repeating: 0, count: count)
        var number = -1
        var leader: Int?
        var stack = [(node: 2 * count - 2, isLeft: false)]
        while let (node, isLeft) = stack.popLast() {
            let merge = merges[node - count]
            guard isLeft else {
                if leader == nil, merge.distance <= threshold {
                    leader = node
                    number += 1
                }
                stack.append((node, true))
                for child in [merge.right, merge.left] where child >= count { stack.append((child, false)) }
                continue
            }
            for point in [merge.left, merge.right] where point < count {
                if leader == nil { number += 1 }
                labels[point] = number
            }
            if leader == node { leader = nil }
        }
        return labels
    }

    /// The merges in the order in which chains find them, each of two points that stand for their clusters.
    private static func chained(_ count: Int, _ distances: [Double]) -> [Merge] {
        var distances = distances
        var sizes = [Int](repeating: 1, count: count)
        var chain: [Int] = []
        var merges: [Merge] = []
        func place(_ a: Int, _ b: Int) -> Int {
            let (low, high) = (min(a, b), max(a, b))
            return count * low - low * (low + 1) / 2 + high - low - 1
        }
        for _ in 0..<count - 1 {
            if chain.isEmpty, let first = sizes.firstIndex(where: { $0 > 0 }) { chain.append(first) }
            var (x, y, nearest) = (0, 0, Double.infinity)
            while true {
                x = chain[chain.count - 1]
                // The point before is preferred among equals, or chains could go in circles.
                let before = chain.count > 1 ? chain[chain.count - 2] : nil
                nearest = before.map { distances[place(x, $0)] } ?? .infinity
                y = before ?? x
                for other in 0..<count where sizes[other] > 0 && other != x {
                    let distance = distances[place(x, other)]
                    if distance < nearest { (nearest, y) = (distance, other) }
                }
                if y == before { break }
                chain.append(y)
            }
            chain.removeLast(2)
            let (low, high) = (min(x, y), max(x, y))
            merges.append(Merge(left: low, right: high, distance: nearest))
            let (lowSize, highSize) = (sizes[low], sizes[high])
            sizes[low] = 0
            sizes[high] = lowSize + highSize
            for other in 0..<count where sizes[other] > 0 && other != high {
                let share = 1 / Double(lowSize + highSize + sizes[other])
                let (toLow, toHigh) = (distances[place(other, low)], distances[place(other, high)])
                let square =
                    Double(sizes[other] + lowSize) * share * toLow * toLow
                    + Double(sizes[other] + highSize) * share * toHigh * toHigh
                    - Double(sizes[other]) * share * nearest * nearest
                distances[place(other, high)] = square.squareRoot()
            }
        }
        return merges
    }

    /// The merges by distance, each of two nodes, the lower one left.
    private static func labelled(_ merges: [Merge], _ count: Int) -> [Merge] {
        // Equal distances keep their order, as in scipy's merge sort.
        let order = merges.indices.sorted { (merges[$0].distance, $0) < (merges[$1].distance, $1) }
        var parents = Array(0..<2 * count - 1)
        func root(_ node: Int) -> Int {
            var node = node
            while parents[node] != node {
                parents[node] = parents[parents[node]]
                node = parents[node]
            }
            return node
        }
        return order.enumerated().map { number, index in
            let merge = merges[index]
            let (a, b) = (root(merge.left), root(merge.right))
            (parents[a], parents[b]) = (count + number, count + number)
            return Merge(left: min(a, b), right: max(a, b), distance: merge.distance)
        }
    }
}
