/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few kernel types that we read, with only the members that we read.
 *
 * preserve_access_index makes every access a CO-RE relocation: offsets come from the
 * running kernel's BTF at load time, so a build needs no BTF and no generated vmlinux.h.
 * Members that moved or changed their name between kernels are in compat.h. None is const,
 * and no pointer to one: BPF_CORE_READ() makes a variable of its type, which clang 22 refuses.
 */
#ifndef DIRTYSCOPE_BPF_KERNEL_H
#define DIRTYSCOPE_BPF_KERNEL_H

#include "bpf/dirtyscope.h"

#include <linux/bpf.h>

typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic64_t;

struct pt_regs;

struct kuid {
	__u32 val;
};

struct cred {
	struct kuid uid;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct cgroup_subsys_state *subsys[1];
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
};

struct obj_cgroup {
	struct mem_cgroup *memcg;
};

struct time_offsets {
	struct {
		__s64 tv_sec;
		long tv_nsec;
	} boottime;
};

struct time_namespace {
	struct time_offsets offsets;
};

struct ns_common {
	unsigned int inum;
};

struct cgroup_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct time_namespace *time_ns;
	struct cgroup_namespace *cgroup_ns;
};

struct pid {
	unsigned int level;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct signal_struct {
	atomic_t live;
};

struct task_struct;

struct mm_struct {
	void *pgd;
	struct task_struct *owner;
	atomic64_t pinned_vm;
};

struct userfaultfd_ctx {
	struct mm_struct *mm;
};

struct file;

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	struct file *vm_file;
};

struct task_struct {
	unsigned int flags;
	int tgid;
	__u64 start_boottime;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct cred *cred;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct pid *thread_pid;
	struct nsproxy *nsproxy;
	char comm[DS_COMM_LEN];
};

struct bus_type {
	char *name;
};

struct kobject {
	char *name;
	struct kernfs_node *sd;
};

struct device {
	struct kobject kobj;
	struct device *parent;
	char *init_name;
	struct bus_type *bus;
};

struct page {
	unsigned long flags;
};

typedef struct {
	__u8 b[16];
} uuid_t;

struct super_block {
	__u32 s_dev;
	uuid_t s_uuid;
	unsigned long s_magic;
};

struct inode {
	__u16 i_mode;
	__u32 i_rdev;
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct address_space {
	struct inode *host;
};

struct folio {
	unsigned long flags;
	struct address_space *mapping;
};

struct block_device {
	__u32 bd_dev;
	struct device bd_device;
};

struct gendisk {
	char disk_name[32];
	struct block_device *part0;
	__u64 diskseq;
};

struct request_queue {
	struct gendisk *disk;
};

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

struct bvec_iter {
	__u64 bi_sector;
	unsigned int bi_size;
	unsigned int bi_idx;
	unsigned int bi_bvec_done;
} __attribute__((packed));

struct bio {
	struct bio *bi_next;
	struct bvec_iter bi_iter;
	__u32 bi_opf;
	struct bio_vec *bi_io_vec;
};

struct request {
	struct request_queue *q;
	__u32 cmd_flags;
	struct bio *bio;
};

struct net_device {
	struct device dev;
};

struct sk_buff {
	struct sk_buff *next;
	struct net_device *dev;
	unsigned int len;
	unsigned int data_len;
	__u8 head_frag : 1;
	__u16 mac_header;
	unsigned int tail;
	unsigned int end;
	unsigned char *head;
	unsigned char *data;
};

struct skb_shared_info {
	__u8 nr_frags;
	struct sk_buff *frag_list;
};

struct scatterlist {
	unsigned long page_link;
	unsigned int offset;
	unsigned int length;
	__u64 dma_address;
};

struct sg_table {
	struct scatterlist *sgl;
	unsigned int nents;
};

struct dma_iova_state {
	__u64 addr;
};

struct list_head {
	struct list_head *next;
};

struct iommu_domain;

struct iommu_group {
	struct list_head devices;
};

struct group_device {
	struct list_head list;
	struct device *dev;
};

struct virtio_device {
	struct device dev;
	__u64 features;
};

struct virtqueue {
	struct virtio_device *vdev;
};

struct pipe_buffer {
	struct page *page;
	unsigned int offset;
	unsigned int len;
};

struct pipe_inode_info {
	unsigned int tail;
	unsigned int ring_size;
	struct pipe_buffer *bufs;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#pragma clang attribute pop

#endif
