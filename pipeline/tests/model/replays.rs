//! Cases that have found something, spelt out.
