# SPDX-License-Identifier: BSD-2-Clause
# A guest of QEMU (-kernel, multiboot) that writes PERIOD-paced pages, one after the other, round and
# round over WORKING of them: as --32 --defsym PERIOD=ticks --defsym WORKING=pages --defsym END=address.
	.set FIRST, 0x400000

	.text
	.long 0x1badb002, 0, -0x1badb002	# the header that the loader looks for
	.globl _start
_start:
	cld
	# No page may be zero: those are not sent.
	movl $0x200000, %edi
	movl $0x12345678, %eax
fill:
	imull $1103515245, %eax, %eax
	addl $12345, %eax
	orl $1, %eax
	movl %eax, (%edi)
	addl $4096, %edi
	cmpl $END, %edi
	jb fill

	movb $'r', %al				# ready: the debug console
	outb %al, $0xe9
	# The timer that has always been there: 1193182 ticks a second, down from 65536.
	movb $0x34, %al
	outb %al, $0x43
	xorb %al, %al
	outb %al, $0x40
	outb %al, $0x40
	xorl %esi, %esi				# the last count
	xorl %ebp, %ebp				# ticks that have passed
	xorl %ebx, %ebx				# the next page
	movl $1, %ecx
tick:
	xorb %al, %al				# latch, and read in two halves
	outb %al, $0x43
	xorl %eax, %eax
	inb $0x40, %al
	movb %al, %dl
	inb $0x40, %al
	movb %al, %ah
	movb %dl, %al
	movl %esi, %edx
	subl %eax, %edx
	movl %eax, %esi
	andl $0xffff, %edx
	addl %edx, %ebp
write:
	cmpl $PERIOD, %ebp
	jb tick
	subl $PERIOD, %ebp
	movl %ebx, %edi
	shll $12, %edi
	incl %ecx
	movl %ecx, FIRST(%edi)
	incl %ebx
	cmpl $WORKING, %ebx
	jb write
	xorl %ebx, %ebx
	jmp write
