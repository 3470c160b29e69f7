/// The sum of sizes; the largest number if they exceed it, as sparse files and what servers claim can.
package func totalBytes(_ sizes: some Sequence<Int>) -> Int {
    sizes.reduce(0) { total, size in
        let (sum, isTooLarge) = total.addingReportingOverflow(size)
        return isTooLarge ? Int.max : sum
    }
}
