/// How far counts are from equal ones, in standard deviations of the chi-square statistic.
///
/// - Parameter counts: How often each of the equally likely outcomes occurred.
/// - Returns: The deviation, negative where the counts are more equal than random ones.
func chiSquareDeviation(_ counts: [Int]) -> Double {
    let expected = Double(counts.reduce(0, +)) / Double(counts.count)
    let statistic = counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    let freedom = Double(counts.count - 1)
    return (statistic - freedom) / (2 * freedom).squareRoot()
}
